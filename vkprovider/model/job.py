"""The batch/v1 Job as vkprovider reads it. ``decode_job`` is the one way in; the raw object rides along as ``raw``."""

from __future__ import annotations

from typing import Any

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.pod import ObjectMeta, PodSpec, read_as
from vkprovider.model.refs import PodKey
from vkprovider.model.selectors import LabelSelector

MAX_INT32 = 2**31 - 1


class PodTemplateSpec(Model, frozen=True, kw_only=True):
    """What the Job's pods are made from; their raw form is ``Job.raw["spec"]["template"]``."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class OnExitCodes(Model, frozen=True, kw_only=True):
    """``operator`` is In or NotIn; without ``container_name`` any container's code decides. Never matches code 0."""

    operator: str
    values: tuple[int, ...]
    container_name: str | None = None


class OnPodCondition(Model, frozen=True, kw_only=True):
    type: str
    status: str = "True"


class PodFailureRule(Model, frozen=True, kw_only=True):
    """``action`` is FailJob, FailIndex, Ignore or Count; exactly one of the two requirements is set."""

    action: str
    on_exit_codes: OnExitCodes | None = None
    on_pod_conditions: tuple[OnPodCondition, ...] = ()


class PodFailurePolicy(Model, frozen=True, kw_only=True):
    """Rules for failed pods, in order; the first that matches decides."""

    rules: tuple[PodFailureRule, ...] = ()


class SuccessPolicyRule(Model, frozen=True, kw_only=True):
    """``succeeded_indexes`` as in "0,2-4"; with ``succeeded_count`` that many of them (or of all) are enough."""

    succeeded_indexes: str | None = None
    succeeded_count: int | None = None


class SuccessPolicy(Model, frozen=True, kw_only=True):
    rules: tuple[SuccessPolicyRule, ...] = ()


class JobSpec(Model, frozen=True, kw_only=True):
    """v1.JobSpec with the API server's defaults. Times in seconds.

    ``completions`` None (a work queue): any success completes the Job, once all its pods have ended.
    """

    template: PodTemplateSpec
    completions: int | None = None
    parallelism: int = 1
    backoff_limit: int = 6
    backoff_limit_per_index: int | None = None
    max_failed_indexes: int | None = None
    completion_mode: str = "NonIndexed"
    active_deadline_seconds: int | None = None
    pod_failure_policy: PodFailurePolicy | None = None
    success_policy: SuccessPolicy | None = None
    ttl_seconds_after_finished: int | None = None
    suspend: bool = False
    pod_replacement_policy: str = "TerminatingOrFailed"
    selector: LabelSelector | None = None
    manual_selector: bool = False


class Job(Model, frozen=True, kw_only=True):
    spec: JobSpec
    metadata: ObjectMeta = ObjectMeta()
    raw: dict[str, Any] = {}

    @property
    def key(self) -> PodKey:
        return PodKey(self.metadata.namespace, self.metadata.name)

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def indexed(self) -> bool:
        return self.spec.completion_mode == "Indexed"


def decode_job(raw: dict[str, Any]) -> Job:
    """Read a batch/v1 Job from its JSON form, the defaults that depend on other fields filled in.

    Raises SpecError with the field's path where a value has the wrong type.
    """
    read = {key: value for key, value in raw.items() if key != "raw"}
    if isinstance(read.get("spec"), dict):
        read["spec"] = with_spec_defaults(read["spec"])
    return msgspec.structs.replace(read_as(Job, read), raw=raw)


def with_spec_defaults(spec: dict[str, Any]) -> dict[str, Any]:
    """A raw JobSpec with what the API server fills in, the pod template left as it is.

    pkg/apis/batch/v1/defaults.go SetDefaults_Job.
    """
    given = {key: value for key, value in spec.items() if value is not None}
    defaults: dict[str, Any] = {
        "parallelism": 1,
        "backoffLimit": MAX_INT32 if "backoffLimitPerIndex" in given else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "Failed" if "podFailurePolicy" in given else "TerminatingOrFailed",
    }
    if "parallelism" not in given and "completions" not in given:
        defaults["completions"] = 1
    return defaults | given
