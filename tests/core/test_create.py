"""From a pod to its sandbox and containers, in engine-neutral words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import container, native, pod
from vkprovider.core.actions import StartContainer
from vkprovider.core.create import Gathered, NodeFacts, plan_container, plan_sandbox
from vkprovider.core.faults import Fault
from vkprovider.core.network_files import Dns, Resolver
from vkprovider.core.security import seccomp_file, unenforced
from vkprovider.model.create import ContainerCreate, Limits, Mount, PortBinding
from vkprovider.model.labels import ContainerIdentity, decode
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID

NODE = NodeFacts(name="node-1", memory=8 * 1024**3, network="pods")
START = StartContainer(key="app", attempt=2, sandbox_id=ContainerID("abc"), image_id="sha256:1", backoff_seconds=20)
JOINED = "container:abc"
NOTHING = Gathered()


def sandbox(node: NodeFacts = NODE, **spec: Any) -> ContainerCreate:
    return plan_sandbox(pod(container("app"), **spec), node, attempt=1, image="pause")


def created(of: Pod, gathered: Gathered = NOTHING, node: NodeFacts = NODE) -> ContainerCreate:
    return plan_container(of, of.spec.containers[0], START, node, gathered)


def app(gathered: Gathered = NOTHING, *, spec: dict[str, Any] | None = None, **fields: Any) -> ContainerCreate:
    return created(pod(container("app", **fields), **(spec or {})), gathered)


def secured(image_user: str = "", own: dict[str, Any] | None = None, **pods: Any) -> ContainerCreate:
    return app(Gathered(image_user=image_user), spec={"securityContext": pods}, securityContext=own or {})


def test_a_sandbox_holds_the_pods_namespaces_and_has_no_rights() -> None:
    plan = sandbox()
    assert msgspec.structs.replace(plan, labels={}) == ContainerCreate(
        name="k8s_POD_p_default_u_1",
        image="pause",
        labels={},
        hostname="p",
        network="pods",
        ipc="shareable",
        read_only_root=True,
        cap_drop=("ALL",),
        security_opts=("no-new-privileges",),
        limits=Limits(cpu_shares=2, oom_score_adj=-998),
    )
    assert decode(plan.labels) == ContainerIdentity(
        node="node-1", type="sandbox", pod_name="p", pod_namespace="default", pod_uid=PodUID("u"), name="POD", attempt=1
    )


def test_a_sandbox_on_the_node() -> None:
    ports = [{"containerPort": 80, "hostPort": 80}]
    given = pod(container("app", ports=ports), hostNetwork=True, hostPID=True, hostIPC=True)
    plan = plan_sandbox(given, NODE, 0, "pause")
    assert (plan.network, plan.ipc, plan.pid, plan.uts) == ("host", "host", "host", "")
    assert (plan.hostname, plan.ports) == ("", ())


def test_host_ports_of_regular_containers_are_bound_by_the_sandbox() -> None:
    ports = [
        {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
        {"containerPort": 53, "hostPort": 53, "protocol": "UDP"},
        {"containerPort": 9000},
    ]
    more = container("more", ports=[{"containerPort": 7, "hostPort": 7, "protocol": "SCTP"}])
    init = container("init", ports=[{"containerPort": 1, "hostPort": 1}])
    assert plan_sandbox(pod(container("app", ports=ports), more, inits=(init,)), NODE, 0, "pause").ports == (
        PortBinding(container_port=80, host_port=8080, host_ip="127.0.0.1"),
        PortBinding(container_port=53, host_port=53, protocol="udp"),
        PortBinding(container_port=7, host_port=7, protocol="sctp"),
    )


def test_the_sandbox_keeps_the_given_mounts() -> None:
    mount = Mount(source="memory", target="/x", volume=True)
    assert plan_sandbox(pod(container("app")), NODE, 0, "pause", (mount,)).mounts == (mount,)


def test_the_engine_completes_the_settings_of_a_resolver_that_has_no_server() -> None:
    node = msgspec.structs.replace(
        NODE, dns=Dns(node=Resolver(nameservers=("127.0.0.53",), searches=("corp.example",)))
    )
    plan = sandbox(node, dnsConfig={"options": [{"name": "ndots", "value": "3"}]})
    assert (plan.dns_searches, plan.dns_options) == (("corp.example",), ("ndots:3",))
    plan = sandbox(node, dnsConfig={"nameservers": ["9.9.9.9"], "searches": ["own.example"]})
    assert (plan.dns_searches, plan.dns_options) == ((), ())


@pytest.mark.parametrize(
    ("name", "dotted"),
    [
        ("kernel.shm_rmid_forced", "kernel.shm_rmid_forced"),
        ("net/ipv4/tcp_syncookies", "net.ipv4.tcp_syncookies"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
    ],
)
def test_sysctls_are_the_sandboxes(name: str, dotted: str) -> None:
    assert sandbox(securityContext={"sysctls": [{"name": name, "value": "1"}]}).sysctls == {dotted: "1"}


def test_a_container_joins_its_sandbox() -> None:
    plan = app()
    assert msgspec.structs.replace(plan, labels={}) == ContainerCreate(
        name="k8s_app_p_default_u_2",
        image="sha256:1",
        labels={},
        network=JOINED,
        ipc=JOINED,
        security_opts=("seccomp=unconfined",),
        limits=Limits(cpu_shares=2, oom_score_adj=1000),
    )
    identity = decode(plan.labels)
    assert identity is not None
    assert msgspec.structs.replace(identity, hash="") == ContainerIdentity(
        node="node-1",
        type="container",
        pod_name="p",
        pod_namespace="default",
        pod_uid=PodUID("u"),
        name="app",
        attempt=2,
        sandbox_id=ContainerID("abc"),
        image="busybox:1.28",
        backoff_seconds=20,
        resources="{}",
    )
    assert identity.hash
    assert identity.hash != decode(app(image="other").labels).hash  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("spec", "ipc", "pid"),
    [
        ({}, JOINED, ""),
        ({"shareProcessNamespace": True}, JOINED, JOINED),
        ({"hostPID": True}, JOINED, "host"),
        ({"hostIPC": True}, "host", ""),
        ({"hostNetwork": True}, JOINED, ""),
    ],
)
def test_namespaces_of_a_container(spec: dict[str, Any], ipc: str, pid: str) -> None:
    plan = app(spec=spec)
    assert (plan.network, plan.ipc, plan.pid) == (JOINED, ipc, pid)
    assert (plan.hostname, plan.ports, plan.dns_searches) == ("", (), ())


@pytest.mark.parametrize(
    ("command", "args", "process"),
    [
        ([], [], (None, None)),
        (["sh", "-c"], [], (("sh", "-c"), ())),
        ([], ["-v"], (None, ("-v",))),
        (["sh"], ["-c", "$(A) $(B) $$(A)"], (("sh",), ("-c", "1 $(B) $(A)"))),
        (["$(A)"], [], (("1",), ())),
    ],
)
def test_command_and_args(command: list[str], args: list[str], process: tuple[Any, Any]) -> None:
    plan = app(Gathered(env=(("A", "1"),)), command=command, args=args)
    assert (plan.entrypoint, plan.args) == process


def test_environment_mounts_and_terminal() -> None:
    mount = Mount(source="/a", target="/b")
    gathered = Gathered(env=(("A", "1=2"), ("B", "")), mounts=(mount,))
    plan = app(gathered, workingDir="/srv", stdin=True, stdinOnce=True, tty=True)
    assert (plan.env, plan.mounts, plan.working_dir) == (("A=1=2", "B="), (mount,), "/srv")
    assert (plan.stdin, plan.stdin_once, plan.tty) == (True, True, True)


@pytest.mark.parametrize(
    ("image", "own", "pods", "user"),
    [
        ("", {}, {}, ""),
        ("1000:2000", {}, {}, ""),
        ("", {"runAsUser": 0}, {"runAsUser": 5}, "0"),
        ("", {}, {"runAsUser": 5}, "5"),
        ("", {"runAsGroup": 7}, {"runAsUser": 5, "runAsGroup": 6}, "5:7"),
        ("", {"runAsGroup": 0}, {"runAsGroup": 6}, "0:0"),
        ("alice:staff", {}, {"runAsGroup": 6}, "alice:6"),
        ("1000", {"runAsGroup": 6}, {}, "1000:6"),
        ("alice", {"runAsUser": 8}, {}, "8"),
    ],
)
def test_user_and_group(image: str, own: dict[str, Any], pods: dict[str, Any], user: str) -> None:
    assert secured(image, own, **pods).user == user


@pytest.mark.parametrize(
    ("pods", "groups"),
    [
        ({}, ()),
        ({"fsGroup": 0}, ("0",)),
        ({"supplementalGroups": [4, 5]}, ("4", "5")),
        ({"fsGroup": 5, "supplementalGroups": [4, 5]}, ("5", "4")),
    ],
)
def test_supplementary_groups(pods: dict[str, Any], groups: tuple[str, ...]) -> None:
    assert secured(**pods).groups == groups


POD_AND_CONTAINER = '(pod: "p_default(u)", container: app)'


@pytest.mark.parametrize(
    ("image", "own", "pods", "message"),
    [
        ("", {"runAsUser": 0}, {}, "container's runAsUser breaks non-root policy"),
        ("", {}, {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
        ("", {}, {}, "container has runAsNonRoot and image will run as root"),
        ("0:1000", {}, {}, "container has runAsNonRoot and image will run as root"),
        (
            "alice:staff",
            {},
            {},
            "container has runAsNonRoot and image has non-numeric user (alice), cannot verify user is non-root",
        ),
    ],
)
def test_run_as_non_root_holds_back_what_runs_as_root(
    image: str, own: dict[str, Any], pods: dict[str, Any], message: str
) -> None:
    with pytest.raises(Fault) as caught:
        secured(image, own, runAsNonRoot=True, **pods)
    assert caught.value.waiting_reason == "CreateContainerConfigError"
    assert caught.value.message == f"{message} {POD_AND_CONTAINER}"
    with pytest.raises(Fault):
        secured(image, {**own, "runAsNonRoot": True}, runAsNonRoot=False, **pods)
    assert secured(image, {**own, "runAsNonRoot": False}, runAsNonRoot=True, **pods)


@pytest.mark.parametrize(
    ("image", "own"), [("1000", {}), ("1000:0", {}), ("alice", {"runAsUser": 1}), ("", {"runAsUser": 1})]
)
def test_run_as_non_root_lets_others_through(image: str, own: dict[str, Any]) -> None:
    assert secured(image, own, runAsNonRoot=True)


def test_capabilities_and_privileges() -> None:
    plan = app(
        securityContext={
            "capabilities": {"add": ["CAP_SYS_ADMIN", "NET_ADMIN"], "drop": ["ALL"]},
            "privileged": True,
            "readOnlyRootFilesystem": True,
        }
    )
    assert (plan.cap_add, plan.cap_drop) == (("SYS_ADMIN", "NET_ADMIN"), ("ALL",))
    assert (plan.privileged, plan.read_only_root) == (True, True)


@pytest.mark.parametrize(
    ("allowed", "options"),
    [
        (None, ("seccomp=unconfined",)),
        (True, ("seccomp=unconfined",)),
        (False, ("seccomp=unconfined", "no-new-privileges")),
    ],
)
def test_privilege_escalation(allowed: bool | None, options: tuple[str, ...]) -> None:
    assert app(securityContext={"allowPrivilegeEscalation": allowed}).security_opts == options


FILE = {"type": "Localhost", "localhostProfile": "a.json"}
ARMOR = {"type": "Localhost", "localhostProfile": "mine"}


@pytest.mark.parametrize(
    ("own", "pods", "options"),
    [
        ({"seccompProfile": {"type": "Unconfined"}}, {}, ("seccomp=unconfined",)),
        ({}, {"seccompProfile": {"type": "RuntimeDefault"}}, ()),
        ({"seccompProfile": FILE}, {"seccompProfile": {"type": "RuntimeDefault"}}, ("seccomp={}",)),
        ({"seccompProfile": {"type": "Unconfined"}}, {"seccompProfile": FILE}, ("seccomp=unconfined",)),
        ({"appArmorProfile": {"type": "RuntimeDefault"}}, {}, ("seccomp=unconfined",)),
        ({"appArmorProfile": {"type": "Unconfined"}}, {}, ("seccomp=unconfined", "apparmor=unconfined")),
        ({}, {"appArmorProfile": ARMOR}, ("seccomp=unconfined", "apparmor=mine")),
        (
            {"seLinuxOptions": {"level": "s0:c1,c2", "type": "spc_t"}},
            {"seLinuxOptions": {"user": "nobody"}},
            ("seccomp=unconfined", "label=type:spc_t", "label=level:s0:c1,c2"),
        ),
    ],
)
def test_profiles_and_labels(own: dict[str, Any], pods: dict[str, Any], options: tuple[str, ...]) -> None:
    given = pod(container("app", securityContext=own), securityContext=pods)
    seccomp = "{}" if seccomp_file(given, given.spec.containers[0]) == "a.json" else ""
    assert created(given, Gathered(seccomp=seccomp)).security_opts == options


def test_what_the_engines_host_does_not_enforce_is_said() -> None:
    asking = {"seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": ARMOR, "seLinuxOptions": {"level": "s0"}}
    plain = container("plain", securityContext={"seccompProfile": {"type": "Unconfined"}, "seLinuxOptions": {}})
    free = container("free", securityContext={"privileged": True, "appArmorProfile": ARMOR})
    given = pod(container("app", securityContext=asking), plain, free)
    assert list(unenforced(given, ("seccomp", "selinux"))) == [
        'container "app" runs without its AppArmor profile: the engine\'s host has none'
    ]
    everything = "its seccomp profile and its AppArmor profile and its SELinux labels"
    assert list(unenforced(given, ())) == [f'container "app" runs without {everything}: the engine\'s host has none']
    assert list(unenforced(given, ("seccomp", "apparmor", "selinux"))) == []


def test_all_of_proc() -> None:
    assert app(securityContext={"procMount": "Unmasked"}).unmasked
    assert not app(securityContext={"procMount": "Default"}).unmasked


def test_limits_are_the_containers() -> None:
    plan = app(resources={"limits": {"cpu": "1", "memory": "64Mi"}})
    assert plan.limits == Limits(cpu_shares=1024, cpu_quota=100_000, memory=64 * 1024**2, oom_score_adj=-997)


def test_init_containers_and_sidecars_are_planned_alike() -> None:
    given = pod(container("app"), inits=(native("proxy", resources={"requests": {"memory": "4Gi"}}),))
    plan = plan_container(given, given.spec.init_containers[0], START, NODE, Gathered())
    assert (plan.name, plan.network, plan.limits.oom_score_adj) == ("k8s_proxy_p_default_u_2", JOINED, 500)


def test_a_stop_signal_of_its_own() -> None:
    assert app(lifecycle={"stopSignal": "SIGINT"}).stop_signal == "SIGINT"
    assert app(lifecycle={}).stop_signal == app().stop_signal == ""


def test_a_runtime_is_that_of_the_whole_pod() -> None:
    of = pod(container("app"), runtimeClassName="gpu")
    assert plan_sandbox(of, NODE, attempt=0, image="pause", runtime="nvidia").runtime == "nvidia"
    start = msgspec.structs.replace(START, runtime="nvidia")
    assert plan_container(of, of.spec.containers[0], start, NODE, NOTHING).runtime == "nvidia"
    with pytest.raises(Fault, match="the runtime of the pod's sandbox cannot be seen now"):
        created(of)


def test_mounts_are_read_only_in_depth_where_the_pods_runtime_can_make_them_so() -> None:
    mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "IfPossible"}
    of = pod(container("app", volumeMounts=[mount]))
    gathered = Gathered(mounts=(Mount(source="/s", target="/v", read_only=True),))
    node = msgspec.structs.replace(NODE, recursive_read_only=("runc",))
    for runtime, deep in (("runc", True), ("old", False)):
        start = msgspec.structs.replace(START, runtime=runtime)
        (made,) = plan_container(of, of.spec.containers[0], start, node, gathered).mounts
        assert made.recursive_read_only is deep
