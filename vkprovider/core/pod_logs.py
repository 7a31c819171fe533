"""Which pods have log files, and where: below ``<pod's directory>/logs``, as kubelets lay them out."""

from __future__ import annotations

import posixpath

from vkprovider.model.pod import Pod
from vkprovider.model.volume import STDLOG, Volume


def is_stdlog(volume: Volume) -> bool:
    return volume.csi is not None and volume.csi.driver == STDLOG


def shows_logs(pod: Pod) -> bool:
    """Whether the pod's own containers may read its logs."""
    return any(is_stdlog(volume) for volume in pod.spec.volumes)


def container_names(pod: Pod) -> tuple[str, ...]:
    spec = pod.spec
    return tuple(c.name for c in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers))


def logs_path(pod_dir: str) -> str:
    """The directory of a pod's logs, or a link to it."""
    return posixpath.join(pod_dir, "logs")


def shared_name(pod: Pod) -> str:
    """What that directory is called among those of other pods (pkg/kubelet/kuberuntime/helpers.go)."""
    return f"{pod.metadata.namespace}_{pod.metadata.name}_{pod.uid}"


def log_path(pod_dir: str, container: str, attempt: int) -> str:
    return posixpath.join(logs_path(pod_dir), container, f"{attempt}.log")


def log_note(pod_dir: str, container: str, attempt: int) -> str:
    """Where it is noted how much of an instance's log is there."""
    return posixpath.join(pod_dir, "containers", container, str(attempt), "log-note")
