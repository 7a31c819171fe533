"""Which kernel settings a pod may make."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.sysctls import forbidden_sysctl


@pytest.mark.parametrize(
    ("name", "spec", "why"),
    [
        ("net.ipv4.tcp_syncookies", {}, None),
        ("net/ipv4/tcp_syncookies", {}, None),
        ("kernel.shm_rmid_forced", {"hostNetwork": True}, None),
        ("net.ipv4.tcp_syncookies", {"hostIPC": True}, None),
        ("kernel.msgmax", {}, 'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        (
            "net.ipv4.ping_group_range",
            {"hostNetwork": True},
            'forbidden sysctl: "net.ipv4.ping_group_range" not allowed with host net enabled',
        ),
        (
            "kernel/shm_rmid_forced",
            {"hostIPC": True},
            'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
        ),
    ],
)
def test_only_what_concerns_the_pod_alone(name: str, spec: dict[str, Any], why: str | None) -> None:
    given = pod(container("app"), securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    assert forbidden_sysctl(given.spec) == why
