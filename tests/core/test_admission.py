from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import T0, container, native, pod
from vkprovider.core.admission import NodeView, Rejection, admit, node_view, rejected_status
from vkprovider.core.claims import Claim, HostPort, claim
from vkprovider.core.placement import NO_EXECUTE, NO_SCHEDULE, Taint
from vkprovider.model.pod import Pod, decode_pod

NODE = NodeView(
    name="vk",
    labels={"type": "virtual-kubelet"},
    taints=(Taint(key="virtual-kubelet.io/provider", value="docker"),),
    allocatable={"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3"},
)
EVICTING = Taint(key="dedicated", value="db", effect=NO_EXECUTE)


def on(**fields: Any) -> NodeView:
    return msgspec.structs.replace(NODE, **fields)


def asking(**requests: str) -> Pod:
    named = {name.replace("_", "-"): amount for name, amount in requests.items()}
    return pod(container("app", resources={"requests": named}))


def labelled(**labels: str) -> Pod:
    raw = pod(container("app")).raw
    return decode_pod(raw | {"metadata": raw["metadata"] | {"labels": labels}})


def insufficient(name: str, requested: int, used: int, capacity: int) -> Rejection:
    return Rejection(
        reason=f"OutOf{name}",
        message=f"Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}",
    )


def test_a_pod_that_fits_is_admitted() -> None:
    assert admit(asking(cpu="2", memory="1Gi", ephemeral_storage="10Gi"), NODE, [Claim(), Claim()]) is None
    assert admit(pod(container("app"), nodeSelector={"type": "virtual-kubelet"}), NODE, []) is None


@pytest.mark.parametrize(
    ("of", "others", "rejection"),
    [
        (asking(cpu="2001m"), [], insufficient("cpu", 2001, 0, 2000)),
        (asking(cpu="1"), [claim(asking(cpu="1500m"))], insufficient("cpu", 1000, 1500, 2000)),
        (asking(memory="1Gi"), [claim(asking(memory="1"))], insufficient("memory", 1 << 30, 1, 1 << 30)),
        (asking(ephemeral_storage="11Gi"), [], insufficient("ephemeral-storage", 11 << 30, 0, 10 << 30)),
        (pod(container("app")), [Claim()] * 3, insufficient("pods", 1, 3, 3)),
        (asking(cpu="9"), [Claim()] * 3, insufficient("pods", 1, 3, 3)),
        (asking(memory="2Gi", cpu="9"), [], insufficient("cpu", 9000, 0, 2000)),
        (asking(hugepages_2Mi="4Mi"), [], insufficient("hugepages-2Mi", 4 << 20, 0, 0)),
    ],
)
def test_resources_are_checked_in_the_schedulers_order(of: Pod, others: list[Claim], rejection: Rejection) -> None:
    assert admit(of, NODE, others) == rejection


def test_what_is_not_asked_for_is_not_missed() -> None:
    assert admit(asking(memory="1"), NODE, [claim(asking(cpu="3"))]) is None
    assert admit(asking(cpu="0"), on(allocatable={"pods": "1"}), []) is None


def test_an_extended_resource_counts_only_where_the_node_has_it() -> None:
    gpu = pod(container("app", resources={"requests": {"nvidia.com/gpu": "1"}}))
    assert admit(gpu, NODE, []) is None
    two = on(allocatable={"pods": "9", "nvidia.com/gpu": "2"})
    assert admit(gpu, two, [claim(gpu)]) is None
    assert admit(gpu, two, [claim(gpu)] * 2) == insufficient("nvidia.com/gpu", 1, 2, 2)


def test_a_sidecar_counts_beside_the_app() -> None:
    sidecar = native("sidecar", resources={"requests": {"cpu": "1500m"}})
    app = container("app", resources={"requests": {"cpu": "600m"}})
    assert admit(pod(app, inits=(sidecar,)), NODE, []) == insufficient("cpu", 2100, 0, 2000)


@pytest.mark.parametrize(
    ("of", "node", "reason", "message"),
    [
        (
            pod(container("app"), nodeSelector={"type": "real"}),
            NODE,
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (
            pod(container("app")),
            on(taints=(EVICTING,)),
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
        ),
        (
            pod(container("app"), os={"name": "windows"}),
            NODE,
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (
            labelled(**{"kubernetes.io/os": "windows"}),
            NODE,
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        (
            pod(container("app"), securityContext={"supplementalGroupsPolicy": "Strict"}),
            NODE,
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        ),
        (
            pod(container("app"), hostUsers=False),
            NODE,
            "UnsupportedField",
            "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
        ),
        (
            pod(container("app")),
            on(shutting_down=True),
            "NodeShutdown",
            "Pod was rejected as the node is shutting down.",
        ),
    ],
)
def test_a_pod_that_does_not_belong_here_is_rejected(of: Pod, node: NodeView, reason: str, message: str) -> None:
    assert admit(of, node, []) == Rejection(reason=reason, message=message)


def test_a_port_of_the_host_is_given_once() -> None:
    web = pod(container("web", ports=[{"containerPort": 80, "hostPort": 8080}]))
    assert admit(web, NODE, [Claim(ports=frozenset({HostPort(8081)}))]) is None
    assert admit(web, NODE, [claim(web)]) == Rejection(
        reason="NodePorts",
        message="Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    )


def test_taints_that_only_concern_scheduling_are_the_schedulers() -> None:
    assert admit(pod(container("app")), on(taints=(Taint(key="x", effect=NO_SCHEDULE),)), []) is None
    patient = pod(container("app"), tolerations=[{"key": "dedicated", "operator": "Exists"}])
    assert admit(patient, on(taints=(EVICTING,)), []) is None


MEMORY_TOLERATION = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("of", "pressures", "message"),
    [
        (pod(container("app")), ("MemoryPressure",), "The node had condition: [MemoryPressure]. "),
        (asking(cpu="1"), ("MemoryPressure",), ""),
        (pod(container("app"), tolerations=[MEMORY_TOLERATION]), ("MemoryPressure",), ""),
        (asking(cpu="1"), ("DiskPressure",), "The node had condition: [DiskPressure]. "),
        (
            asking(cpu="1"),
            ("MemoryPressure", "PIDPressure"),
            "The node had condition: [MemoryPressure PIDPressure]. ",
        ),
        (pod(container("app"), priority=2_000_000_000), ("DiskPressure",), ""),
    ],
)
def test_a_node_under_pressure_takes_no_more(of: Pod, pressures: tuple[str, ...], message: str) -> None:
    rejection = admit(of, on(pressures=pressures), [])
    assert rejection == (Rejection(reason="Evicted", message=message) if message else None)


def test_resources_come_before_placement() -> None:
    misplaced = pod(container("app", resources={"requests": {"cpu": "9"}}), nodeSelector={"type": "real"})
    rejection = admit(misplaced, NODE, [])
    assert rejection is not None
    assert rejection.reason == "OutOfcpu"


def test_the_status_of_a_rejected_pod() -> None:
    raw = asking(cpu="9").raw
    generated = decode_pod(raw | {"metadata": raw["metadata"] | {"generation": 3}})
    assert rejected_status(generated, insufficient("cpu", 9000, 0, 2000), T0) == {
        "phase": "Failed",
        "reason": "OutOfcpu",
        "message": "Pod was rejected: Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 2000",
        "startTime": "2026-01-01T12:00:00Z",
        "qosClass": "Burstable",
        "observedGeneration": 3,
    }


def test_a_pod_that_had_begun_keeps_its_start() -> None:
    status = {"startTime": "2025-12-31T00:00:00Z", "qosClass": "Guaranteed"}
    begun = decode_pod(pod(container("app")).raw | {"status": status})
    rejected = rejected_status(begun, Rejection(reason="NodeAffinity", message="m"), T0)
    assert rejected["startTime"] == "2025-12-31T00:00:00Z"
    assert rejected["qosClass"] == "Guaranteed"


def test_the_node_is_seen_as_the_api_server_has_it() -> None:
    raw = {
        "metadata": {"name": "vk", "labels": {"a": "b"}},
        "spec": {"taints": [{"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T12:00:00Z"}]},
        "status": {
            "allocatable": {"cpu": "2"},
            "conditions": [{"type": "DiskPressure", "status": "True"}, {"type": "Ready", "status": "True"}],
            "nodeInfo": {"operatingSystem": "linux"},
        },
    }
    assert node_view(raw, shutting_down=True) == NodeView(
        name="vk",
        labels={"a": "b"},
        taints=(Taint(key="k", effect=NO_EXECUTE),),
        allocatable={"cpu": "2"},
        pressures=("DiskPressure",),
        shutting_down=True,
    )


def test_a_node_that_was_only_named_is_seen_too() -> None:
    assert node_view({"metadata": {"name": "vk"}}) == NodeView(name="vk")


def test_a_forbidden_sysctl_is_refused() -> None:
    context = {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}
    assert admit(pod(container("app"), securityContext=context), NODE, []) == Rejection(
        reason="SysctlForbidden", message='forbidden sysctl: "kernel.msgmax" not allowlisted'
    )
    allowing = msgspec.structs.replace(NODE, unsafe_sysctls=("kernel.msg*",))
    assert admit(pod(container("app"), securityContext=context), allowing, []) is None


def test_fields_without_which_the_pod_would_be_wrong_are_refused_by_name() -> None:
    given = pod(container("app", volumeDevices=[{"name": "a"}]), resourceClaims=[{"name": "gpu"}])
    refusal = "known to Kubernetes, but vkprovider does not honour it"
    message = f"spec.containers[0].volumeDevices: {refusal}; spec.resourceClaims: {refusal}"
    assert admit(given, NODE, []) == Rejection(reason="UnsupportedField", message=message)


def test_a_csi_driver_that_is_not_there_is_refused() -> None:
    volumes = [{"name": name, "csi": {"driver": name}} for name in ("stdlogplugin.csi.alibabacloud.com", "csi.x.io")]
    message = (
        "spec.volumes[1].csi.driver: vkprovider has no CSI drivers but stdlogplugin.csi.alibabacloud.com, "
        "so not csi.x.io"
    )
    given = pod(container("app"), volumes=volumes)
    assert admit(given, NODE, []) == Rejection(reason="UnsupportedField", message=message)


def test_fields_that_a_pod_can_do_without_do_not_keep_it_out() -> None:
    assert admit(pod(container("app"), schedulingGates=[{"name": "a"}], newerThanUs=1), NODE, []) is None
