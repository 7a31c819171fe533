"""RuntimeClasses, and what the engine's runtimes can do, as the cluster sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from .clients import Cluster
from .home import Home, docker
from .nodes import NodeProcess, shell
from .showing import Json, container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

UNTIL_TERM = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)


def runtime_class(cluster: Cluster, handler: str, **more: Json) -> str:
    """Make one, and give its name."""
    name = f"{handler}-{uuid4().hex[:8]}"
    raw = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": handler}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(raw | more))
    return name


def test_a_pod_has_the_runtime_of_its_class_or_none(home: Home, cluster: Cluster) -> None:
    home.create("known", shell("app", UNTIL_TERM), runtimeClassName=runtime_class(cluster, "runc"))
    home.create("unknown", shell("app", UNTIL_TERM), runtimeClassName=runtime_class(cluster, "nothing"))
    words = 'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "nothing" is configured'
    eventually(lambda: ("FailedCreatePodSandBox", words) in home.events("unknown"))
    status = home.status("unknown")
    waiting = container_status(status, "app")["state"]["waiting"]["reason"]
    assert (status["phase"], waiting) == ("Pending", "ContainerCreating")
    home.until_phase("Running", "known")
    for container in ("POD", "app"):
        made = docker("inspect", "--format={{.HostConfig.Runtime}}", home.container("known", container))
        assert made == "runc"


def test_the_overhead_of_a_class_counts(home: Home, cluster: Cluster) -> None:
    large = runtime_class(cluster, "runc", overhead={"podFixed": {"cpu": "999"}})
    home.create("large", shell("app", UNTIL_TERM), runtimeClassName=large, nodeName=home.node.name)
    home.until_phase("Failed", "large")
    status = home.status("large")
    assert status["reason"] == "OutOfcpu"
    assert "Node didn't have enough resource: cpu, requested: 999000, used: " in status["message"]


def test_mounts_that_are_read_only_in_all_of_their_depth(home: Home, cluster: Cluster) -> None:
    """The Node says what its engine can do, and containers show what was done."""
    if cluster.version < (1, 31):
        pytest.skip("recursiveReadOnly is known by default since 1.31")
    handlers = cluster.get("node", home.node.name)["status"]["runtimeHandlers"]
    features = {handler["name"]: handler["features"] for handler in handlers}
    assert features[""] == features["runc"]
    able = features[""]["recursiveReadOnlyMounts"]
    mount = {"name": "v", "mountPath": "/v", "readOnly": True}
    for name, mode in (("possible", "IfPossible"), ("enabled", "Enabled")):
        app = shell("app", UNTIL_TERM, volumeMounts=[mount | {"recursiveReadOnly": mode}])
        home.create(name, app, volumes=[{"name": "v", "emptyDir": {}}])
    home.until_phase("Running", "possible", *(["enabled"] if able else []))
    if not able:
        waiting = {
            "reason": "CreateContainerConfigError",
            "message": 'volume "v" requested recursive read-only mode, but it is not supported by the runtime',
        }
        eventually(lambda: container_status(home.status("enabled"), "app")["state"].get("waiting") == waiting)
    for name in ("possible", "enabled"):
        mounts = container_status(home.status(name), "app")["volumeMounts"]
        (shown,) = (each for each in mounts if each["name"] == "v")
        assert shown == mount | {"recursiveReadOnly": "Enabled" if able else "Disabled"}
