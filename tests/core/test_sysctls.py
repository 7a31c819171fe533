"""Which kernel settings a pod may make."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.sysctls import forbidden_sysctl, invalid_pattern


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


@pytest.mark.parametrize(
    ("name", "unsafe", "spec", "why"),
    [
        ("kernel.msgmax", ("kernel.msg*",), {}, None),
        ("kernel/msgmax", ("kernel/msg*",), {}, None),
        ("net.core.somaxconn", ("net.core.somaxconn",), {}, None),
        ("net.core.somaxconn2", ("net.core.somaxconn",), {}, 'forbidden sysctl: "net.core.somaxconn2" not allowlisted'),
        (
            "net.core.somaxconn",
            ("net.*",),
            {"hostNetwork": True},
            'forbidden sysctl: "net.core.somaxconn" not allowed with host net enabled',
        ),
        (
            "kernel.sem",
            ("kernel.sem",),
            {"hostIPC": True},
            'forbidden sysctl: "kernel.sem" not allowed with host ipc enabled',
        ),
    ],
)
def test_what_an_administrator_allows(
    name: str, unsafe: tuple[str, ...], spec: dict[str, Any], why: str | None
) -> None:
    given = pod(container("app"), securityContext={"sysctls": [{"name": name, "value": "1"}]}, **spec)
    assert forbidden_sysctl(given.spec, unsafe) == why


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [
        ("kernel.msg*", None),
        ("net/core/somaxconn", None),
        ("net.*", None),
        ("fs.mqueue.*", None),
        ("kernel.sem", None),
        ("kernel.*", "does not concern the pod alone"),
        ("vm.swappiness", "does not concern the pod alone"),
        ("*", "does not concern the pod alone"),
        ("net.*.x", "is not the name of a sysctl"),
        ("", "is not the name of a sysctl"),
        ("net." + 250 * "x", "is not the name of a sysctl"),
    ],
)
def test_what_an_administrator_may_allow(pattern: str, begins: str | None) -> None:
    complaint = invalid_pattern(pattern)
    assert (complaint is None) if begins is None else (complaint or "").startswith(begins)
