"""What the API server fills into a new Pod, Job, Deployment, ConfigMap or Secret that leaves it out.

pkg/apis/core/v1/defaults.go, pkg/apis/batch/v1/defaults.go. Each function gives a copy without nulls, without a
status, and without the metadata that only the server may set; who creates the object adds uid and creation time.
"""

from __future__ import annotations

import base64
from typing import Any

from vkprovider.model.base import without_nulls
from vkprovider.model.job import with_spec_defaults

Raw = dict[str, Any]

_SERVER_SET = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_MODE = 0o644


def pod(raw: Raw) -> Raw:
    """A v1.Pod as it would be stored."""
    made = namespaced(raw)
    made["metadata"]["generation"] = 1
    spec = made.setdefault("spec", {})
    _pod_spec(spec)
    for container in _containers(spec):
        _requests_from_limits(container.get("resources") or {})
    if spec.get("hostNetwork"):
        for container in _containers(spec):
            for port in container.get("ports") or ():
                _fill(port, hostPort=port.get("containerPort"))
    spec.setdefault("enableServiceLinks", True)
    return made


def job(raw: Raw) -> Raw:
    """A batch/v1 Job as it would be stored, but for the selector, which follows from its uid."""
    made = namespaced(raw)
    made["metadata"]["generation"] = 1
    spec = made["spec"] = with_spec_defaults(made["spec"])
    template = spec["template"]
    _pod_spec(template.setdefault("spec", {}))
    labels = (template.get("metadata") or {}).get("labels")
    if labels:
        _fill(made["metadata"], labels=dict(labels))
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for condition in rule.get("onPodConditions") or ():
            _fill(condition, status="True")
    return made


def deployment(raw: Raw) -> Raw:
    """An apps/v1 Deployment as it would be stored."""
    made = namespaced(raw)
    made["metadata"]["generation"] = 1
    made["spec"].setdefault("replicas", 1)
    _pod_spec(made["spec"]["template"].setdefault("spec", {}))
    return made


def with_selector(raw: Raw) -> Raw:
    """A Job, given its uid and name, with the selector and the template labels that set its pods apart.

    pkg/registry/batch/job/strategy.go generateSelector. A Job with a manual selector is left as it is.
    """
    made: Raw = without_nulls(raw)
    metadata, spec = made["metadata"], made["spec"]
    if not spec.get("manualSelector"):
        template = spec["template"].setdefault("metadata", {})
        labels = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
        prefixed = {f"batch.kubernetes.io/{key}": value for key, value in labels.items()}
        template["labels"] = template.get("labels", {}) | prefixed | labels
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}
    return made


def config_map(raw: Raw) -> Raw:
    made = namespaced(raw)
    _join_lines(made.get("binaryData", {}))
    return made


def secret(raw: Raw) -> Raw:
    """A v1.Secret as it would be stored: ``stringData`` merged into the base64 of ``data``, over what is there."""
    made = namespaced(raw)
    _fill(made, type="Opaque")
    _join_lines(made.get("data", {}))
    plain = made.pop("stringData", {})
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
    if encoded:
        made["data"] = made.get("data", {}) | encoded
    return made


def pull_policy(image: str) -> str:
    """Always for the tag "latest", given or implied; else IfNotPresent."""
    name, digest = image.partition("@")[::2]
    tag = name.rpartition("/")[2].partition(":")[2] or ("" if digest else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def namespaced(raw: Raw) -> Raw:
    """Any object that belongs to a namespace, with what all such objects have."""
    made: Raw = without_nulls(raw)
    made.pop("status", None)
    metadata = made.setdefault("metadata", {})
    for name in _SERVER_SET:
        metadata.pop(name, None)
    _fill(metadata, namespace="default")
    return made


def _pod_spec(spec: Raw) -> None:
    _fill(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("securityContext", {})
    for volume in spec.get("volumes") or ():
        _volume(volume)
    for container in _containers(spec):
        complete_container(container)


def _containers(spec: Raw) -> list[Raw]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _volume(volume: Raw) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("configMap", "secret", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "image" in volume:
        _fill(volume["image"], pullPolicy=pull_policy(volume["image"].get("reference", "")))


def complete_container(container: Raw) -> None:
    """Fill in, in place, what a container of any kind leaves out."""
    _fill(
        container,
        imagePullPolicy=pull_policy(container.get("image", "")),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    container.setdefault("resources", {})
    for port in container.get("ports") or ():
        _fill(port, protocol="TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            _fill(reference, apiVersion="v1")
    for name in _PROBES:
        if name in container:
            _fill(container[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _http(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        _http(hook)


def _http(handler: Any) -> None:
    if isinstance(handler, dict) and "httpGet" in handler:
        _fill(handler["httpGet"], path="/", scheme="HTTP")


def _join_lines(encoded: Raw) -> None:
    """Base64 that was broken into lines is stored as one."""
    for key, value in encoded.items():
        encoded[key] = "".join(value.split())


def _requests_from_limits(resources: Raw) -> None:
    if resources.get("limits"):
        resources["requests"] = resources["limits"] | resources.get("requests", {})


def _fill(target: Raw, **values: Any) -> None:
    """Set what is absent or has its type's zero value: to the API the two are the same."""
    for name, value in values.items():
        target[name] = target.get(name) or value
