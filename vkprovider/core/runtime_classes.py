"""RuntimeClasses: which of the engine's runtimes a pod's containers have."""

from __future__ import annotations

from collections.abc import Collection

from vkprovider.core.faults import Fault
from vkprovider.core.objects import Objects
from vkprovider.errors import VkError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

RUNTIME_CLASS = "RuntimeClass"

_DEFAULT = "docker"  # this handler is cri-dockerd's name for the engine's default runtime (core/sandbox_run.go)


def runtime_class(pod: Pod) -> ObjectRef | None:
    """The one that a pod asks for; None if for none."""
    name = pod.spec.runtime_class_name
    return ObjectRef(RUNTIME_CLASS, "", name) if name else None


def runtime_of(ref: ObjectRef, objects: Objects, runtimes: Collection[str]) -> str:
    """The runtime, one of the engine's ``runtimes``, that a RuntimeClass names; "" for the engine's default one.

    Raises Fault in the words of a kubelet (pkg/kubelet/runtimeclass/runtimeclass_manager.go) and of cri-dockerd
    (core/sandbox_run.go) where there is no such class or runtime.
    """
    found = objects[ref]
    if isinstance(found, VkError):
        raise Fault(f"failed to lookup RuntimeClass {ref.name}: {found}") from found
    if found is None:
        raise Fault(f'runtimeclass.node.k8s.io "{ref.name}" not found')
    handler: str = found.get("handler") or ""
    if handler == _DEFAULT:
        return ""
    if handler not in runtimes:
        raise Fault(f'failed to get sandbox runtime: no runtime for "{handler}" is configured')
    return handler
