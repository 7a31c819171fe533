"""Kernel settings of a pod: which of them concern nobody but the pod (pkg/kubelet/sysctl)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vkprovider.model.pod import PodSpec

_NET, _IPC = "net", "ipc"
_SAFE = {
    "kernel.shm_rmid_forced": _IPC,
    "net.ipv4.ip_local_port_range": _NET,
    "net.ipv4.tcp_syncookies": _NET,
    "net.ipv4.ping_group_range": _NET,
    "net.ipv4.ip_unprivileged_port_start": _NET,
    "net.ipv4.ip_local_reserved_ports": _NET,
    "net.ipv4.tcp_keepalive_time": _NET,
    "net.ipv4.tcp_fin_timeout": _NET,
    "net.ipv4.tcp_keepalive_intvl": _NET,
    "net.ipv4.tcp_keepalive_probes": _NET,
    "net.ipv4.tcp_rmem": _NET,
    "net.ipv4.tcp_wmem": _NET,
}
_NAMESPACES = {"kernel.shm": _IPC, "kernel.msg": _IPC, "fs.mqueue.": _IPC, "net.": _NET}  # by what names begin with
_PATTERN = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]")
_LONGEST = 253


def forbidden_sysctl(spec: PodSpec, unsafe: Iterable[str] = ()) -> str | None:
    """Why the pod's settings may not be made, in the words of pkg/kubelet/sysctl/allowlist.go; None if they may.

    ``unsafe`` are names that are allowed beside the safe ones; with a ``*`` at the end, all that begin so.
    """
    shared = {_NET: spec.host_network, _IPC: spec.host_ipc}
    unsafe = tuple(map(dotted, unsafe))
    for sysctl in spec.security_context.sysctls:
        name = dotted(sysctl.name)
        namespace = _SAFE.get(name) or _allowed_namespace(name, unsafe)
        if namespace is None:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if shared[namespace]:
            return f'forbidden sysctl: "{name}" not allowed with host {namespace} enabled'
    return None


def invalid_pattern(pattern: str) -> str | None:
    """What is wrong with a name, or a pattern of names, that is to be allowed; None if nothing is (NewAllowlist)."""
    if len(pattern) > _LONGEST or not _PATTERN.fullmatch(pattern):
        return f"is not the name of a sysctl, with at most {_LONGEST} characters, or the beginning of one and a *"
    if _namespace(dotted(pattern).removesuffix("*")) is None:
        return "does not concern the pod alone: only kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and net.* do"
    return None


def dotted(sysctl: str) -> str:
    """A sysctl's name with dots for separators; where slashes separate, dots are part of a name, as for sysctl(8)."""
    separator = next((char for char in sysctl if char in "./"), ".")
    return sysctl if separator == "." else sysctl.translate(str.maketrans("./", "/."))


def _allowed_namespace(name: str, unsafe: Iterable[str]) -> str | None:
    allowed = any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in unsafe)
    return _namespace(name) if allowed else None


def _namespace(name: str) -> str | None:
    """Whose the setting is, None if that is the whole machine's (pkg/kubelet/sysctl/namespace.go)."""
    if name == "kernel.sem":
        return _IPC
    return next((namespace for prefix, namespace in _NAMESPACES.items() if name.startswith(prefix)), None)
