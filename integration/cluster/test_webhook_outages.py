"""``vkprovider webhook`` that is down, hangs, starts again, is replaced, and whose certificates come to their end."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecarset.destinations import ECI

from .clients import Cluster, KubectlError
from .controlplane import ControlPlane
from .showing import Json, apply, pod
from .waiting import eventually
from .webhooks import (
    NAMESPACE,
    SECRET,
    WebhookProcess,
    admitted,
    configuration,
    is_injected,
    names,
    sidecar_set,
    sidecar_sets,
    webhook_account,
)

pytestmark = pytest.mark.cluster

LIFE_SECONDS = 20
PLAIN = pod("plain", {"containers": [{"name": "app", "image": "app"}]})
OURS = pod("ours", {"containers": [{"name": "app", "image": "app"}]}, labels={ECI: "true"})


@pytest.fixture
def account(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Path]:
    with webhook_account(control_plane, tmp_path) as kubeconfig:
        yield kubeconfig


@pytest.fixture
def agents(control_plane: ControlPlane, account: Path, tmp_path: Path) -> Iterator[WebhookProcess]:
    """A webhook, and a set that it injects."""
    with (
        WebhookProcess(control_plane, tmp_path, account) as process,
        sidecar_sets(control_plane, sidecar_set("agents", {"name": "filebeat", "image": "filebeat"})),
    ):
        yield process


def refusal(cluster: Cluster, namespace: str, wanted: Json) -> str:
    """What is said of a pod that cannot be created; "" where it can."""
    try:
        admitted(cluster, namespace, wanted)
    except KubectlError as exc:
        return exc.stderr
    return ""


def test_only_pods_that_are_meant_for_virtual_nodes_wait_for_it(
    control_plane: ControlPlane, namespace: str, agents: WebhookProcess
) -> None:
    eventually(lambda: is_injected(control_plane, namespace, "filebeat"))
    secret = control_plane.get("secret", SECRET, f"--namespace={NAMESPACE}")
    agents.send(signal.SIGSTOP)
    assert refusal(control_plane, namespace, PLAIN) == ""
    begun = time.monotonic()
    assert "failed calling webhook" in refusal(control_plane, namespace, OURS)
    assert 4 < time.monotonic() - begun < 9  # timeoutSeconds is 5
    agents.send(signal.SIGCONT)
    eventually(lambda: is_injected(control_plane, namespace, "filebeat"))

    agents.kill()
    assert refusal(control_plane, namespace, PLAIN) == ""
    assert "failed calling webhook" in refusal(control_plane, namespace, OURS)
    template = {"metadata": {"labels": {"app": "web", ECI: "true"}}, "spec": OURS["spec"]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    apply(control_plane, namespace, deployment)
    broken = sidecar_set("broken", {"name": "File_Beat", "image": "filebeat"})  # nobody refuses it
    control_plane.kubectl("create", "--filename=-", stdin=json.dumps(broken))
    eventually(lambda: "failed calling webhook" in json.dumps(control_plane.get("events", f"--namespace={namespace}")))
    assert control_plane.get("pods", f"--namespace={namespace}")["items"] == []

    agents.start()
    eventually(lambda: len(control_plane.get("pods", f"--namespace={namespace}")["items"]) == 2, 60)
    found = control_plane.get("pods", f"--namespace={namespace}")["items"]
    assert [names(each) for each in found] == [["filebeat", "app"]] * 2
    control_plane.kubectl("delete", "sidecarset", "broken")
    assert 'SidecarSet "broken": spec.containers[0].name' in agents.log
    assert control_plane.get("secret", SECRET, f"--namespace={NAMESPACE}")["data"] == secret["data"]


def test_certificates_and_authorities_follow_one_another_without_a_refusal(
    control_plane: ControlPlane, namespace: str, account: Path, tmp_path: Path
) -> None:
    """The second authority signs for a quarter of the first one's life before that ends."""
    with WebhookProcess(control_plane, tmp_path, account, "--ca-life", f"{LIFE_SECONDS}s") as process:
        deadline, count = time.monotonic() + LIFE_SECONDS * 1.3, 0
        while time.monotonic() < deadline:
            assert refusal(control_plane, namespace, OURS) == "", process.log
            count += 1
        assert count > LIFE_SECONDS
        assert process.log.count("a new authority") >= 2
        assert process.log.count("has a new certificate") >= 3
        assert "cannot be taken up" not in process.log


def test_the_one_that_started_last_serves(
    control_plane: ControlPlane, namespace: str, agents: WebhookProcess, account: Path, tmp_path: Path
) -> None:
    """A process at another address, by the same authority; the one before does not take it back while it lives."""
    assert agents.is_asked_about()
    secret = control_plane.get("secret", SECRET, f"--namespace={NAMESPACE}")
    with WebhookProcess(control_plane, tmp_path, account) as second:
        eventually(lambda: "another process serves the webhook" in agents.log)
        agents.stop()
        assert second.is_asked_about()
        eventually(lambda: is_injected(control_plane, namespace, "filebeat"))
        assert control_plane.get("secret", SECRET, f"--namespace={NAMESPACE}")["data"] == secret["data"]
        agents.start()
        eventually(lambda: "another process serves the webhook" in second.log)
        agents.kill()
        eventually(second.is_asked_about, 40)
        assert is_injected(control_plane, namespace, "filebeat")


def test_replicas_behind_a_service_serve_by_one_authority(
    control_plane: ControlPlane, namespace: str, account: Path, tmp_path: Path
) -> None:
    """The API server is led to one of them, then to the other, and is told nothing new for it."""
    service = f"{NAMESPACE}/vkprovider-webhook"

    def lead_to(process: WebhookProcess) -> None:
        spec = {"ports": [{"port": 443}]}
        address = {"addresses": [{"ip": own_address()}], "ports": [{"port": process.port}]}
        named = {"name": "vkprovider-webhook"}
        items = [
            {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": spec},
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": named, "subsets": [address]},
        ]
        apply(control_plane, NAMESPACE, *items)

    first, second = (WebhookProcess(control_plane, tmp_path, account, service=service) for _ in range(2))
    with first:
        lead_to(first)
        eventually(lambda: refusal(control_plane, namespace, OURS) == "")
        before = configuration(control_plane)
        with second:
            lead_to(second)
            first.kill()
            eventually(lambda: refusal(control_plane, namespace, OURS) == "")
            assert configuration(control_plane) == before
            assert refusal(control_plane, NAMESPACE, OURS) == ""
    assert "failed calling webhook" in refusal(control_plane, namespace, OURS)
    assert refusal(control_plane, NAMESPACE, OURS) == ""  # where its own pods are
    control_plane.kubectl("delete", "service", "vkprovider-webhook", f"--namespace={NAMESPACE}")


def own_address() -> str:
    """An address of this machine that is not loopback's, which Endpoints may not have. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
