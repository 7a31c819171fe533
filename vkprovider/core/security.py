"""As whom a container runs and what it may do. A container's own settings win over its pod's."""

from __future__ import annotations

from vkprovider.core.faults import Fault
from vkprovider.model.container import Capabilities, Container, SecurityContext
from vkprovider.model.pod import Pod

_ROOT = "0"


def user(pod: Pod, container: Container, image_user: str) -> str:
    """The engine's ``uid[:gid]``, or "" where the image's own user holds.

    ``image_user`` is the image's ``user[:group]``. A group alone is joined to the image's user, and that is root
    where the image names none (pkg/kubelet/kuberuntime/kuberuntime_container.go getImageUser).
    """
    uid, gid = _run_as_user(pod, container), _run_as_group(pod, container)
    if uid is None and gid is None:
        return ""
    name = str(uid) if uid is not None else _name(image_user) or _ROOT
    return name if gid is None else f"{name}:{gid}"


def groups(pod: Pod) -> tuple[str, ...]:
    """The supplementary groups of every container: fsGroup first, then supplementalGroups."""
    context = pod.spec.security_context
    own = () if context.fs_group is None else (context.fs_group,)
    return tuple(dict.fromkeys(str(gid) for gid in (*own, *context.supplemental_groups)))


def common_user(pod: Pod) -> int | None:
    """The uid that the spec has all containers run as, None where it names none or several (pkg/volume/util)."""
    users = {_run_as_user(pod, container) for container in (*pod.spec.init_containers, *pod.spec.containers)}
    return users.pop() if len(users) == 1 else None


def verify_non_root(pod: Pod, container: Container, image_user: str) -> None:
    """Raise Fault where runAsNonRoot is set and the container would, or might, run as root.

    Words and order of pkg/kubelet/kuberuntime/security_context_others.go verifyRunAsNonRoot.
    """
    own = _context(container).run_as_non_root
    if not (pod.spec.security_context.run_as_non_root if own is None else own):
        return
    whom = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    uid = _run_as_user(pod, container)
    if uid == 0:
        raise Fault(f"container's runAsUser breaks non-root policy {whom}")
    if uid is not None:
        return
    name = _name(image_user) or _ROOT
    if not name.isascii() or not name.isdigit():
        raise Fault(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {whom}"
        )
    if int(name) == 0:
        raise Fault(f"container has runAsNonRoot and image will run as root {whom}")


def is_privileged(container: Container) -> bool:
    return _context(container).privileged


def has_read_only_root(container: Container) -> bool:
    return _context(container).read_only_root_filesystem


def capabilities(container: Container) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is added to and dropped from the engine's default set, without ``CAP_``."""
    asked = _context(container).capabilities or Capabilities()
    return tuple(c.removeprefix("CAP_") for c in asked.add), tuple(c.removeprefix("CAP_") for c in asked.drop)


def security_options(container: Container) -> tuple[str, ...]:
    """Unconfined by seccomp, as a kubelet runs a container that asks for no profile: Docker alone would confine it."""
    confined = ("no-new-privileges",) if _context(container).allow_privilege_escalation is False else ()
    return ("seccomp=unconfined", *confined)


def _context(container: Container) -> SecurityContext:
    return container.security_context or SecurityContext()


def _run_as_user(pod: Pod, container: Container) -> int | None:
    own = _context(container).run_as_user
    return pod.spec.security_context.run_as_user if own is None else own


def _run_as_group(pod: Pod, container: Container) -> int | None:
    own = _context(container).run_as_group
    return pod.spec.security_context.run_as_group if own is None else own


def _name(image_user: str) -> str:
    return image_user.partition(":")[0]
