"""The kinds of object that a run takes, and how one of each is read: checked, judged, its defaults filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from vkprovider.core.runtime_classes import RUNTIME_CLASS
from vkprovider.core.trust_anchors import BUNDLE
from vkprovider.model import defaults
from vkprovider.model.base import Model, without_nulls
from vkprovider.model.deployment import Deployment, decode_deployment
from vkprovider.model.fields import check
from vkprovider.model.findings import Finding, show
from vkprovider.model.job import Job, decode_job
from vkprovider.model.manifest import (
    ConfigMapManifest,
    DeploymentManifest,
    JobManifest,
    PodManifest,
    RuntimeClassManifest,
    SecretManifest,
    TrustBundleManifest,
)
from vkprovider.model.pod import Pod, PodSpec, decode_pod, read_as
from vkprovider.model.remarks import closest, remarks
from vkprovider.model.unsupported import Level
from vkprovider.model.validate_deployment import deployment_findings
from vkprovider.model.validate_job import job_findings
from vkprovider.model.validate_trust_bundle import trust_bundle_findings
from vkprovider.model.validation import (
    config_map_findings,
    pod_findings,
    runtime_class_findings,
    secret_findings,
    spec_warnings,
)
from vkprovider.sidecarset.bindings import ResourceBindingManifest, binding_findings, resource_binding
from vkprovider.sidecarset.model import SidecarSetManifest, sidecar_set
from vkprovider.sidecarset.validation import findings as set_findings

Raw = dict[str, Any]

# where each kind has its pod spec
POD_TEMPLATES = {"Pod": "spec", "Job": "spec.template.spec", "Deployment": "spec.template.spec"}


class Kind(NamedTuple):
    """``decode`` takes an object whose types are right; ``judge`` what it gives."""

    api_version: str
    struct: type[Model]
    complete: Callable[[Raw], Raw]
    decode: Callable[[Raw], Any]
    judge: Callable[[Any], Iterator[Finding]]


KINDS: Mapping[str, Kind] = {
    "Pod": Kind("v1", PodManifest, defaults.pod, decode_pod, pod_findings),
    "Job": Kind("batch/v1", JobManifest, defaults.job, decode_job, job_findings),
    "Deployment": Kind("apps/v1", DeploymentManifest, defaults.deployment, decode_deployment, deployment_findings),
    "ConfigMap": Kind(
        "v1", ConfigMapManifest, defaults.config_map, partial(read_as, ConfigMapManifest), config_map_findings
    ),
    "Secret": Kind("v1", SecretManifest, defaults.secret, partial(read_as, SecretManifest), secret_findings),
    RUNTIME_CLASS: Kind(
        "node.k8s.io/v1",
        RuntimeClassManifest,
        without_nulls,
        partial(read_as, RuntimeClassManifest),
        runtime_class_findings,
    ),
    BUNDLE: Kind(
        "certificates.k8s.io/v1beta1",
        TrustBundleManifest,
        without_nulls,
        partial(read_as, TrustBundleManifest),
        trust_bundle_findings,
    ),
    "SidecarSet": Kind("apps.kruise.io/v1alpha1", SidecarSetManifest, without_nulls, sidecar_set, set_findings),
    "SidecarSetResourceBinding": Kind(
        "sidecarset.alibabacloud.com/v1alpha1",
        ResourceBindingManifest,
        defaults.namespaced,
        resource_binding,
        binding_findings,
    ),
}
LIST = "List"
_MOST = 100  # problems of a sort that are looked for in one object
_LONGEST_PATH = 300  # characters of a path that matter: keys of any length may be part of it
_LOOKALIKES = (
    "CronJob",
    "Service",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
)  # kinds of their own, however near their names are to one of ours
_TAKEN = ", ".join(KINDS) + " and " + LIST


class Reading(msgspec.Struct, frozen=True):
    """One object as it was understood. ``raw`` is complete where there are no problems; ``pods`` is the spec of the
    pods that come of it, as far as it could be read.
    """

    raw: Raw
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...] = ()
    pods: PodSpec | None = None
    namespace: str = "default"


def kind_problems(raw: Any) -> list[Finding]:
    """Whatever stands in the way of knowing what an object is; nothing where it is of a known kind."""
    if not isinstance(raw, dict):
        what = "a list" if isinstance(raw, list) else "a single value"
        return [Finding("", f"must be an object with apiVersion, kind and metadata, not {what}")]
    kind, version = raw.get("kind"), raw.get("apiVersion")
    if kind is None or kind == "":
        found = [Finding("kind", f"Required value: vkprovider runs {_TAKEN}")]
        return found if version else [*found, Finding("apiVersion", "Required value")]
    if not isinstance(kind, str) or kind not in KINDS:
        return [Finding("kind", _unknown(kind))]
    if not version:
        return [Finding("apiVersion", f'Required value: "{KINDS[kind].api_version}" for a {kind}')]
    if version != KINDS[kind].api_version:
        return [Finding("apiVersion", f'must be "{KINDS[kind].api_version}" for a {kind}, not {show(version)}')]
    return []


def _unknown(kind: Any) -> str:
    meant = closest(str(kind), (*KINDS, LIST))
    if meant and kind not in _LOOKALIKES:
        return f'unknown kind {show(kind)}, did you mean "{meant}"?'
    return f"{show(kind)} is no kind that vkprovider runs: it takes {_TAKEN}"


def read(raw: Raw) -> Reading:
    """Everything that is wrong with an object of a known kind, and the object with its defaults."""
    kind = KINDS[raw["kind"]]
    given = without_nulls(raw)
    checked = check(given, kind.struct)
    problems = [_veiled(fault) if raw["kind"] == "Secret" else fault for fault in checked.faults]
    if len(problems) > _MOST:
        return Reading(given, tuple(problems[:_MOST]))
    warnings: list[Finding] = []
    explained = {fault.path for fault in problems}
    for remark in islice(remarks(checked.unknown), _MOST):
        if remark.level is Level.WARN:
            warnings.append(remark.finding)
        else:
            problems.append(remark.finding)
            explained |= {remark.finding.path, remark.meant} - {""}
    # A Secret's plain text must be seen before it is made base64, a pod's defaults before it is judged.
    decoded = kind.decode(kind.complete(checked.clean) if raw["kind"] in POD_TEMPLATES else checked.clean)
    problems += islice(_new(kind.judge(decoded), explained), _MOST)
    pods = _pod_spec(decoded)
    if pods is not None:
        warnings += islice(spec_warnings(pods, POD_TEMPLATES[raw["kind"]]), _MOST)
    whole = given if problems else kind.complete(given)
    return Reading(whole, tuple(problems), tuple(warnings), pods, decoded.metadata.namespace)


def _pod_spec(decoded: Any) -> PodSpec | None:
    if isinstance(decoded, (Job, Deployment)):
        return decoded.spec.template.spec
    return decoded.spec if isinstance(decoded, Pod) else None


def _veiled(fault: Finding) -> Finding:
    """A Secret's value is not repeated: messages end up in logs."""
    if fault.path.startswith(("data[", "stringData[")):
        return Finding(fault.path, "must be a string: put it in quotes")
    return fault


def _new(findings: Iterable[Finding], explained: Set[str]) -> Iterator[Finding]:
    """The findings that do not just follow from a field that was misspelt, refused or of the wrong type."""
    around = {_parent(path) for path in explained}
    for finding in findings:
        path = finding.path[:_LONGEST_PATH]
        if path in around:
            continue
        while path and path not in explained:
            path = _parent(path)
        if not path:
            yield finding


def _parent(path: str) -> str:
    return path[: max(path.rfind("."), path.rfind("["), 0)]
