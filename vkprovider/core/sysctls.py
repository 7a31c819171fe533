"""Kernel settings of a pod: which of them concern nobody but the pod (pkg/kubelet/sysctl/safe_sysctls.go)."""

from __future__ import annotations

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


def forbidden_sysctl(spec: PodSpec) -> str | None:
    """Why the pod's settings may not be made, in the words of pkg/kubelet/sysctl/allowlist.go; None if they may."""
    shared = {_NET: spec.host_network, _IPC: spec.host_ipc}
    for sysctl in spec.security_context.sysctls:
        name = dotted(sysctl.name)
        if name not in _SAFE:
            return f'forbidden sysctl: "{name}" not allowlisted'
        if shared[_SAFE[name]]:
            return f'forbidden sysctl: "{name}" not allowed with host {_SAFE[name]} enabled'
    return None


def dotted(sysctl: str) -> str:
    """A sysctl's name with dots for separators; where slashes separate, dots are part of a name, as for sysctl(8)."""
    separator = next((char for char in sysctl if char in "./"), ".")
    return sysctl if separator == "." else sysctl.translate(str.maketrans("./", "/."))
