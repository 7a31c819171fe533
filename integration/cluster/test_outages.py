"""The API server goes away, stands still, or has forgotten: the node's pods go on, and the API shows what became of
them as soon as it can.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .clients import Cluster
from .controlplane import ControlPlane
from .nodes import NodeProcess, on, shell
from .showing import Json, apply, container_status, in_docker, pod, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"


@pytest.fixture
def plane(control_plane: ControlPlane, cluster: Cluster) -> Iterator[ControlPlane]:
    """The node's control plane, whose API server serves again whatever becomes of the test."""
    if control_plane is not cluster:
        pytest.skip("the API server of this cluster is not ours to stop")
    yield control_plane
    if control_plane.servers["kube-apiserver"].pid is None:
        control_plane.start_apiserver()


@contextmanager
def standing_still(pid: int | None) -> Iterator[None]:
    """A process that does nothing, its connections open, while the block runs."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def on_node(node: NodeProcess, name: str, script: str) -> Json:
    return pod(name, on(node.name, shell("app", script), automountServiceAccountToken=False))


def phase(plane: ControlPlane, namespace: str, name: str) -> str:
    return str(plane.get("pod", name, f"--namespace={namespace}")["status"].get("phase"))


def until_phase(plane: ControlPlane, namespace: str, name: str, wanted: str) -> None:
    eventually(lambda: phase(plane, namespace, name) == wanted, 30)


def until_it_runs_no_more(node: NodeProcess, plane_uid: str) -> None:
    """Its sandbox goes when all its containers have ended."""
    eventually(lambda: not [name for name in in_docker(node, plane_uid) if name.startswith("k8s_POD_")], 30)


@pytest.mark.parametrize("trouble", ["gone", "standing still"])
def test_what_happened_meanwhile_is_shown_afterwards(
    plane: ControlPlane, namespace: str, node: NodeProcess, trouble: str
) -> None:
    apply(plane, namespace, on_node(node, "ends", "sleep 2; exit 3"), on_node(node, "lasts", POLITE))
    for name in ("ends", "lasts"):
        until_phase(plane, namespace, name, "Running")
    uids = {name: plane.get("pod", name, f"--namespace={namespace}")["metadata"]["uid"] for name in ("ends", "lasts")}
    if trouble == "gone":
        plane.stop_apiserver()
        until_it_runs_no_more(node, uids["ends"])
        plane.start_apiserver()
    else:
        with standing_still(plane.servers["kube-apiserver"].pid):
            until_it_runs_no_more(node, uids["ends"])
    until_phase(plane, namespace, "ends", "Failed")
    status = plane.get("pod", "ends", f"--namespace={namespace}")["status"]
    assert container_status(status, "app")["state"]["terminated"]["exitCode"] == 3
    assert phase(plane, namespace, "lasts") == "Running"
    apply(plane, namespace, on_node(node, "new", "true"))
    until_phase(plane, namespace, "new", "Succeeded")
    plane.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--timeout=20s")
    until_nothing_is_left(node)
    assert node.is_ready()


def test_what_the_api_server_has_forgotten_is_asked_for_anew(
    plane: ControlPlane, namespace: str, node: NodeProcess
) -> None:
    """A pod goes by force while the node stands still, and the API server that says so is another one: the node's watch
    is answered with 410.
    """
    apply(plane, namespace, on_node(node, "forced", POLITE), on_node(node, "lasts", POLITE))
    for name in ("forced", "lasts"):
        until_phase(plane, namespace, name, "Running")
    uid = plane.get("pod", "forced", f"--namespace={namespace}")["metadata"]["uid"]
    with standing_still(node.pid):
        plane.kubectl("delete", "pod", "forced", f"--namespace={namespace}", "--force", "--grace-period=0")
        apply(plane, namespace, on_node(node, "new", "true"))
        eventually(lambda: plane.get("pod", "new", f"--namespace={namespace}")["spec"].get("nodeName"))
        plane.stop_apiserver()
        plane.start_apiserver()
    until_phase(plane, namespace, "new", "Succeeded")
    eventually(lambda: not in_docker(node, uid))
    assert "the watch is too far behind; listing again" in node.log
    assert phase(plane, namespace, "lasts") == "Running"
    plane.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--timeout=20s")
    until_nothing_is_left(node)
