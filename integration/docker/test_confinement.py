"""What containers are kept from doing, and that what a host withholds is said."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import pod, shell

pytestmark = pytest.mark.docker

NET_ADMIN, SYS_RESOURCE = 1 << 12, 1 << 24
SECCOMP = "grep Seccomp: /proc/self/status | tr -d '[:space:]'"
NO_MKDIR = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
}


@pytest.fixture
def enforced(client: docker.APIClient) -> list[str]:
    """The security modules of the engine's host."""
    return [option.partition(",")[0].removeprefix("name=") for option in client.info()["SecurityOptions"] or ()]


def run(command: Command, script: str, context: dict[str, Any] | None = None, **spec: Any) -> Run:
    app = shell("app", f"{{ {script}; }} >/dev/termination-log 2>&1", securityContext=context or {})
    done = command.run_json(pod("confined", app, **spec))
    done.finish()
    return done


def words(done: Run) -> str:
    return str(done.status("app")["state"]["terminated"].get("message", "")).strip()


@pytest.mark.parametrize(
    ("own", "pods", "mode"),
    [
        (None, None, 0),
        ("Unconfined", "RuntimeDefault", 0),
        ("RuntimeDefault", None, 2),
        (None, "RuntimeDefault", 2),
    ],
)
def test_seccomp(command: Command, enforced: list[str], own: str | None, pods: str | None, mode: int) -> None:
    if "seccomp" not in enforced:
        pytest.skip("the engine's host has no seccomp")
    context, common = ({"seccompProfile": {"type": kind}} if kind else {} for kind in (own, pods))
    assert words(run(command, SECCOMP, context, securityContext=common)) == f"Seccomp:{mode}"


def test_a_seccomp_profile_of_the_users_own(command: Command, enforced: list[str]) -> None:
    if "seccomp" not in enforced:
        pytest.skip("the engine's host has no seccomp")
    profiles = command.state_dir / "seccomp" / "team"
    profiles.mkdir(parents=True)
    (profiles / "no-mkdir.json").write_text(json.dumps(NO_MKDIR, indent=2))
    context = {"seccompProfile": {"type": "Localhost", "localhostProfile": "team/no-mkdir.json"}}
    done = run(command, "mkdir /x", context)
    assert done.status("app")["state"]["terminated"]["exitCode"] == 1
    assert words(done) == "mkdir: can't create directory '/x': Operation not permitted"


@pytest.fixture
def stopped(command: Command) -> Iterator[list[Run]]:
    """Runs that go on until they are told to stop."""
    runs: list[Run] = []
    yield runs
    for each in runs:
        each.interrupt()
        each.finish()


def test_a_seccomp_profile_that_is_not_there(command: Command, stopped: list[Run]) -> None:
    context = {"seccompProfile": {"type": "Localhost", "localhostProfile": "none.json"}}
    waiting = command.run_json(pod("confined", shell("app", "true", securityContext=context)))
    stopped.append(waiting)
    path = command.state_dir / "seccomp" / "none.json"
    waiting.err.until_line("CreateContainerError", f'cannot load seccomp profile "{path}"')


def test_what_the_host_does_not_enforce_is_said(command: Command, enforced: list[str]) -> None:
    context = {"appArmorProfile": {"type": "RuntimeDefault"}, "seLinuxOptions": {"level": "s0:c1,c2"}}
    done = run(command, "echo runs", context)
    assert words(done) == "runs"
    missing = {"apparmor": "AppArmor profile", "selinux": "SELinux labels"}
    for module, name in missing.items():
        assert (f"its {name}" in str(done.err)) == (module not in enforced)


@pytest.mark.parametrize(
    "context", [{"privileged": True}, {"capabilities": {"add": ["SYS_RESOURCE", "NET_ADMIN"]}}], ids=["all", "one"]
)
def test_what_the_host_lets_no_container_have_is_said(command: Command, context: dict[str, Any]) -> None:
    """All else that it asks for is given."""
    done = run(command, "grep CapEff: /proc/self/status", context)
    has = int(words(done).split()[1], 16)
    assert has & NET_ADMIN
    assert ("runs without the capability SYS_RESOURCE" in str(done.err)) == (not has & SYS_RESOURCE)
    if "privileged" in context:
        done = run(command, "mkdir /at && mount -t tmpfs tmpfs /at && ls -l /dev/null /dev/kmsg", context)
        assert done.status("app")["state"]["terminated"]["exitCode"] == 0, words(done)


def test_proc_is_shown_in_part_or_whole(command: Command) -> None:
    script = "grep -c ' /proc/' /proc/mounts"
    masked = words(run(command, script))
    assert int(masked) > 0
    assert words(run(command, script, {"procMount": "Unmasked"})) == "0"


SYSCTLS = {
    "kernel.shm_rmid_forced": "1",
    "net.ipv4.ip_local_port_range": "40000 50000",
    "net.ipv4.tcp_syncookies": "0",
    "net.ipv4.ping_group_range": "1 0",
    "net.ipv4.ip_unprivileged_port_start": "80",
    "net.ipv4.ip_local_reserved_ports": "41000-41010",
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_fin_timeout": "30",
    "net.ipv4.tcp_keepalive_intvl": "20",
    "net.ipv4.tcp_keepalive_probes": "5",
    "net.ipv4.tcp_rmem": "4096 65536 1048576",
    "net.ipv4.tcp_wmem": "4096 32768 1048576",
}


def test_every_safe_sysctl(command: Command) -> None:
    asked = [{"name": name, "value": value} for name, value in SYSCTLS.items()]
    files = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in SYSCTLS)
    done = run(command, f"cat {files}", securityContext={"sysctls": asked})
    assert words(done).replace("\t", " ").splitlines() == list(SYSCTLS.values())


def test_a_sysctl_that_the_kernel_refuses(command: Command, stopped: list[Run]) -> None:
    asked = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "many"}]
    waiting = command.run_json(pod("confined", shell("app", "true"), securityContext={"sysctls": asked}))
    stopped.append(waiting)
    waiting.err.until_line("FailedCreatePodSandBox", "ip_unprivileged_port_start: invalid argument")


@pytest.mark.parametrize(("spec", "kind"), [({"hostPID": True}, "pid"), ({"hostIPC": True}, "ipc")])
def test_namespaces_of_the_machine(command: Command, spec: dict[str, Any], kind: str) -> None:
    machine = os.readlink(f"/proc/self/ns/{kind}")
    script = f"readlink /proc/self/ns/{kind}"
    assert words(run(command, script, **spec)) == machine
    assert words(run(command, script)) != machine


def test_processes_of_one_pod_see_each_other(command: Command) -> None:
    done = run(command, "cat /proc/1/comm; ps | grep -c '[s]leep 4242'", shareProcessNamespace=True)
    first, _ = words(done).splitlines()
    assert first != "sh"


def test_who_may_run_as_root_is_asked_before(command: Command, stopped: list[Run]) -> None:
    waiting = command.run_json(pod("confined", shell("app", "true"), securityContext={"runAsNonRoot": True}))
    stopped.append(waiting)
    waiting.err.until_line("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
