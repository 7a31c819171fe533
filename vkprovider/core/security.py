"""As whom a container runs and what it may do. A container's own settings win over its pod's."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from vkprovider.core.faults import Fault
from vkprovider.model.container import Capabilities, Container, Profile, SecurityContext, SELinuxOptions
from vkprovider.model.pod import Pod

_ROOT = "0"
_UNCONFINED, _RUNTIME_DEFAULT, _LOCALHOST = "Unconfined", "RuntimeDefault", "Localhost"
_MODULES = {"seccomp": "its seccomp profile", "apparmor": "its AppArmor profile", "selinux": "its SELinux labels"}


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


def shows_all_of_proc(container: Container) -> bool:
    return _context(container).proc_mount == "Unmasked"


def seccomp_file(pod: Pod, container: Container) -> str:
    """The name of the seccomp profile on the node that a container asks for, "" if none."""
    return _localhost(_seccomp(pod, container))


def security_options(pod: Pod, container: Container, seccomp: str = "") -> tuple[str, ...]:
    """The engine's options; ``seccomp`` is the content of ``seccomp_file``.

    A container that asks for no seccomp profile is unconfined, as with a kubelet: Docker alone would confine it.
    """
    options: list[str] = []
    profile = _seccomp(pod, container)
    if profile is None or profile.type in ("", _UNCONFINED):
        options.append("seccomp=unconfined")
    elif seccomp:
        options.append(f"seccomp={seccomp}")
    armor = _app_armor(pod, container)
    if armor is not None and armor.type != _RUNTIME_DEFAULT:
        options.append(f"apparmor={_localhost(armor) or 'unconfined'}")
    labels = _se_linux(pod, container)
    if labels is not None:
        named = {"user": labels.user, "role": labels.role, "type": labels.type, "level": labels.level}
        options += [f"label={name}:{value}" for name, value in named.items() if value]
    if _context(container).allow_privilege_escalation is False:
        options.append("no-new-privileges")
    return tuple(options)


def unenforced(pod: Pod, enforced: Collection[str], withheld: Collection[str] = ()) -> Iterator[str]:
    """What the containers ask for and the engine's host does not enforce, or give; ``enforced`` are its security
    modules, ``withheld`` the capabilities that no container can have there.
    """
    spec = pod.spec
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        lacking = [name for name in withheld if _asks_for(container, name)]
        if lacking:
            why = "the engine's host withholds it"
            yield f'container "{container.name}" runs without the capability {" and ".join(lacking)}: {why}'
        asked = {
            "seccomp": _is_profile(_seccomp(pod, container)),
            "apparmor": _is_profile(_app_armor(pod, container)),
            "selinux": _se_linux(pod, container) not in (None, SELinuxOptions()),
        }
        missing = [_MODULES[name] for name, wanted in asked.items() if wanted and name not in enforced]
        if missing and not is_privileged(container):
            yield f'container "{container.name}" runs without {" and ".join(missing)}: the engine\'s host has none'


def _asks_for(container: Container, capability: str) -> bool:
    return is_privileged(container) or not {capability, "ALL"}.isdisjoint(capabilities(container)[0])


def _is_profile(profile: Profile | None) -> bool:
    return profile is not None and profile.type not in ("", _UNCONFINED)


def _localhost(profile: Profile | None) -> str:
    return profile.localhost_profile if profile is not None and profile.type == _LOCALHOST else ""


def _seccomp(pod: Pod, container: Container) -> Profile | None:
    return _context(container).seccomp_profile or pod.spec.security_context.seccomp_profile


def _app_armor(pod: Pod, container: Container) -> Profile | None:
    return _context(container).app_armor_profile or pod.spec.security_context.app_armor_profile


def _se_linux(pod: Pod, container: Container) -> SELinuxOptions | None:
    return _context(container).se_linux_options or pod.spec.security_context.se_linux_options


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
