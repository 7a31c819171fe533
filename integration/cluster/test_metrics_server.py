"""``kubectl top`` and a HorizontalPodAutoscaler, by a real metrics-server that reads a real node."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .clients import KubectlError
from .controlplane import ControlPlane
from .metrics_server import metrics_server
from .nodes import IMAGE, NodeProcess, on, shell
from .showing import apply
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

# By default it looks four times a minute, and takes no notice of the first minutes of a pod.
EAGER = (
    "--horizontal-pod-autoscaler-sync-period=2s",
    "--horizontal-pod-autoscaler-cpu-initialization-period=1s",
    "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
)
BUSY = "while :; do :; done"
SHARE = {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
IN = "--namespace=default"


@pytest.fixture(scope="module")
def bridge() -> str:
    """The address of the engine's bridge, which is this machine's too."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def plane(bridge: str) -> Iterator[ControlPlane]:
    with ControlPlane.start(flags={"kube-controller-manager": EAGER}) as started:
        eventually(lambda: started.get("serviceaccounts", IN)["items"])
        with metrics_server(started, bridge):
            yield started


@pytest.fixture(scope="module")
def node(plane: ControlPlane, image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    name = f"node-{uuid4().hex[:8]}"
    with NodeProcess(plane, name, tmp_path_factory.mktemp(name), plane.kubeconfig) as joined:
        yield joined


@pytest.fixture(scope="module")
def deployment(plane: ControlPlane, node: NodeProcess) -> Iterator[str]:
    """Of one pod that has as much to do as it is let, beside a sidecar that sleeps; its init container is over."""
    done = shell("done", "true", image=IMAGE, resources=SHARE)
    sidecar = shell("sidecar", "exec sleep 3600", image=IMAGE, resources=SHARE, restartPolicy="Always")
    spec = on(node.name, shell("busy", BUSY, resources=SHARE), initContainers=[done, sidecar], restartPolicy="Always")
    labels = {"app": "busy"}
    raw = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "busy"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
    apply(plane, "default", raw)
    plane.kubectl("wait", "deployment/busy", IN, "--for=condition=Available", "--timeout=60s", seconds=70)
    yield "busy"
    plane.kubectl("delete", "deployment", "busy", IN, "--wait=false")


def top(plane: ControlPlane, *arguments: str) -> list[list[str]]:
    """The lines of ``kubectl top``; none before there is anything to show."""
    try:
        return [line.split() for line in plane.kubectl("top", *arguments, "--no-headers").splitlines()]
    except KubectlError as exc:
        if not re.search("not available|no metrics", exc.stderr, re.IGNORECASE):
            raise
        return []


def amount(text: str) -> int:
    """Of ``95m`` or ``1Mi``, without the unit."""
    return int(text.rstrip("miMK"))


@pytest.mark.usefixtures("deployment")  # for its numbers are under way meanwhile
def test_top_node(plane: ControlPlane, node: NodeProcess) -> None:
    def shown() -> list[str]:
        return next((line for line in top(plane, "node") if line[0] == node.name and "<unknown>" not in line), [])

    eventually(shown, 60)
    _, cpu, _, memory, _ = shown()
    assert amount(cpu) > 0
    assert amount(memory) > 0


def test_top_pod(plane: ControlPlane, deployment: str) -> None:
    def shown() -> dict[str, Any]:
        lines = top(plane, "pod", IN, "--containers", f"--selector=app={deployment}")
        return {container: (amount(cpu), amount(memory)) for _, container, cpu, memory in lines}

    eventually(lambda: shown().get("busy", (0, 0))[0] >= 50, 60)
    found = shown()
    assert found.keys() == {"busy", "sidecar"}
    assert found["busy"][0] <= 150
    assert found["sidecar"][0] <= 20
    ((name, cpu, _),) = top(plane, "pod", IN, f"--selector=app={deployment}")
    assert name.startswith(deployment)
    assert amount(cpu) >= 50


def test_a_deployment_is_scaled_under_load(plane: ControlPlane, node: NodeProcess, deployment: str) -> None:
    target = {"type": "Utilization", "averageUtilization": 50}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": deployment},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
    apply(plane, "default", scaler)
    eventually(lambda: plane.get("deployment", deployment, IN)["status"].get("readyReplicas") == 2, 60)
    pods = plane.get("pods", IN, f"--selector=app={deployment}")["items"]
    assert [each["spec"]["nodeName"] for each in pods] == [node.name] * 2
