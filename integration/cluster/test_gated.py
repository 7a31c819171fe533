"""Fields that an API server takes only with a feature gate on: rules of a container's own, its stop signal, images as
volumes, variables from files, and what an API server lacks all the same.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .binaries import find_binaries
from .controlplane import ControlPlane
from .nodes import IMAGE, NodeProcess, make_image, on, shell
from .showing import apply, container_status, events_of, pod, showing, state
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

GATES = (
    "ClusterTrustBundle",
    "ClusterTrustBundleProjection",
    "ContainerRestartRules",
    "ContainerStopSignals",
    "EnvFiles",
    "ImageVolume",
)
RULES = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
ONCE_42 = "echo >>/shared/times; [ $(wc -l </shared/times) = 2 ] && exit 0; sleep 1; exit 42"
SHARED = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """With the gates on."""
    version = subprocess.check_output([find_binaries() / "kube-apiserver", "--version"], text=True)
    if int(version.split(".")[1]) < 34:
        pytest.skip("container restart rules came with 1.34")
    gates = ["--feature-gates=" + ",".join(f"{gate}=true" for gate in GATES)]
    with ControlPlane.start(flags={"kube-apiserver": gates}) as plane:
        yield plane


@pytest.fixture
def node(plane: ControlPlane, tmp_path: Path) -> Iterator[NodeProcess]:
    make_image()
    with NodeProcess(plane, f"node-{uuid4().hex[:8]}", tmp_path, plane.kubeconfig) as node:
        yield node


def test_a_rule_restarts_a_container_under_never(plane: ControlPlane, node: NodeProcess) -> None:
    app = shell("app", ONCE_42, restartPolicy="Never", restartPolicyRules=RULES, **SHARED)
    spec = on(node.name, app, volumes=[{"name": "shared", "emptyDir": {}}])
    with showing(plane, "default") as shown:
        apply(plane, "default", pod("ruled", spec))
        shown.until_phase("ruled", "Succeeded", 60)
    of_app = container_status(shown.last("ruled"), "app")
    assert (of_app["restartCount"], of_app["lastState"]["terminated"]["exitCode"]) == (1, 42)
    assert "Failed" not in shown.phases("ruled")
    plane.kubectl("delete", "pod", "ruled")


def test_a_container_has_a_policy_of_its_own(plane: ControlPlane, node: NodeProcess) -> None:
    steady = shell("steady", "sleep 3")
    again = shell("again", ONCE_42, restartPolicy="OnFailure", **SHARED)
    spec = on(node.name, steady, again, volumes=[{"name": "shared", "emptyDir": {}}])
    with showing(plane, "default") as shown:
        apply(plane, "default", pod("mixed", spec))
        shown.until_phase("mixed", "Succeeded", 60)
    assert container_status(shown.last("mixed"), "again")["restartCount"] == 1
    assert container_status(shown.last("mixed"), "steady")["restartCount"] == 0
    plane.kubectl("delete", "pod", "mixed")


def test_a_container_is_stopped_by_the_signal_it_asks_for(plane: ControlPlane, node: NodeProcess) -> None:
    script = "trap 'echo asked >/dev/termination-log; exit 0' USR1; trap '' TERM; while :; do sleep 0.1; done"
    app = shell("app", script, lifecycle={"stopSignal": "SIGUSR1"})
    spec = on(node.name, app, os={"name": "linux"}, terminationGracePeriodSeconds=20)
    with showing(plane, "default") as shown:
        apply(plane, "default", pod("signalled", spec))
        shown.until_phase("signalled", "Running", 60)
        plane.kubectl("delete", "pod", "signalled")
        states = [state(status, "app") for status in shown.statuses("signalled")]
    assert {(how["exitCode"], how["message"]) for kind, how in states if kind == "terminated"} == {(0, "asked\n")}


def test_an_image_as_a_volume(plane: ControlPlane, node: NodeProcess) -> None:
    mounts = [
        {"name": "data", "mountPath": "/data", "subPath": "etc"},
        {"name": "missing", "mountPath": "/missing"},
    ]
    reader = shell("reader", "cat /data/group && ! touch /data/new", volumeMounts=mounts[:1])
    waiting = shell("waiting", "exit 0", volumeMounts=mounts[1:])
    volumes = [
        {"name": "data", "image": {"reference": IMAGE}},
        {"name": "missing", "image": {"reference": "127.0.0.1:1/nothing:1"}},
    ]
    with showing(plane, "default") as shown:
        apply(plane, "default", pod("shows", on(node.name, reader, waiting, volumes=volumes)))
        shown.until("shows", "reader", "terminated", seconds=60)
        shown.until("shows", "waiting", "waiting", "ImagePullBackOff", seconds=60)
    last = shown.last("shows")
    assert container_status(last, "reader")["state"]["terminated"]["exitCode"] == 0
    mounted = container_status(last, "reader")["volumeMounts"]
    assert {"name": "data", "mountPath": "/data"}.items() <= mounted[0].items()
    plane.kubectl("delete", "pod", "shows")


def test_variables_from_a_file_that_an_init_container_leaves(plane: ControlPlane, node: NodeProcess) -> None:
    file = {"volumeName": "shared", "path": "made/env", "key": "level"}
    writes = shell("writes", "mkdir /shared/made; echo 'level = high' >/shared/made/env", **SHARED)
    app = shell("app", "test $LEVEL = high", env=[{"name": "LEVEL", "valueFrom": {"fileKeyRef": file}}])
    init = on(node.name, writes)["containers"]
    spec = on(node.name, app, initContainers=init, volumes=[{"name": "shared", "emptyDir": {}}])
    with showing(plane, "default") as shown:
        apply(plane, "default", pod("told", spec))
        shown.until_phase("told", "Succeeded", 60)
    plane.kubectl("delete", "pod", "told")


def test_authorities_on_an_api_server_that_has_none(plane: ControlPlane, node: NodeProcess) -> None:
    """Its gate is on, and no version of them is: nothing else tells the pod's owner why it waits."""
    source = {"clusterTrustBundle": {"name": "bundle", "path": "ca.pem", "optional": True}}
    volume = {"name": "authorities", "projected": {"sources": [source]}}
    apply(plane, "default", pod("trusting", on(node.name, shell("app", "true"), volumes=[volume])))
    complaint = "the API server has no clustertrustbundles.certificates.k8s.io: whoever runs it has to enable"
    eventually(lambda: any(complaint in message for _, message in events_of(plane, "default", "trusting")), 30)
    plane.kubectl("delete", "pod", "trusting")
