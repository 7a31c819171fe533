"""Pods that are deleted, at every moment of their lives: how they end, what the API shows of it, and what stays."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from .clients import Cluster
from .nodes import IMAGE, NodeProcess, on, shell
from .showing import (
    Json,
    Showing,
    apply,
    container_status,
    events_of,
    in_docker,
    pod,
    showing,
    until_nothing_is_left,
)
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
STUBBORN = "sleep 1000"  # a shell that is PID 1 does not hear TERM
SLACK = 0.5  # seconds that kubectl may take to say that it has asked
LOST = {"exitCode": 137, "reason": "ContainerStatusUnknown"}


@pytest.fixture
def shown(cluster: Cluster, namespace: str) -> Iterator[Showing]:
    with showing(cluster, namespace) as shown:
        yield shown


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """The address of a registry that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


class Doomed:
    """A pod that a test creates on a node, and deletes."""

    name = "doomed"

    def __init__(self, cluster: Cluster, namespace: str, node: NodeProcess, shown: Showing) -> None:
        self.shown = shown
        self._cluster = cluster
        self._namespace = namespace
        self._node = node

    def create(self, *containers: Json, finalizers: tuple[str, ...] = (), **spec: Any) -> None:
        body = on(self._node.name, *containers, **spec)
        apply(self._cluster, self._namespace, pod(self.name, body, finalizers=list(finalizers)))

    def delete(self, *flags: str) -> float:
        """Ask for its deletion, without waiting for it; when that was."""
        self._cluster.kubectl("delete", "pod", self.name, f"--namespace={self._namespace}", "--wait=false", *flags)
        return time.monotonic()

    def until_it_is_gone(self, within: float) -> Json:
        """Wait until its object and all that was its own are gone; its last status."""
        eventually(lambda: self.shown.is_gone(self.name), within)
        until_nothing_is_left(self._node, within)
        return self.shown.last(self.name)

    def until_told(self, *reasons: str) -> None:
        """Wait until the events are those, in that order, and no others: they may come after the object is gone."""
        eventually(lambda: tuple(reason for reason, _ in self.events()) == reasons)

    def events(self) -> list[tuple[str, str]]:
        return events_of(self._cluster, self._namespace, self.name)


@pytest.fixture
def doomed(cluster: Cluster, namespace: str, node: NodeProcess, shown: Showing) -> Iterator[Doomed]:
    doomed = Doomed(cluster, namespace, node, shown)
    yield doomed
    if not shown.is_gone(doomed.name):  # the test failed, and others need the node
        doomed.delete("--force", "--grace-period=0")


def ended(status: Json, container: str) -> Json:
    """How a container ended, as far as it matters: its code, its reason."""
    terminated = container_status(status, container)["state"]["terminated"]
    return {key: terminated[key] for key in ("exitCode", "reason")}


@pytest.mark.parametrize(("reaction", "phase"), [("exit 0", "Succeeded"), ("exit 3", "Failed")])
def test_while_running(doomed: Doomed, reaction: str, phase: str) -> None:
    """How the pod ended is said before its object goes; that is so under each restart policy."""
    script = f"trap '{reaction}' TERM; sleep 1000 & wait"
    doomed.create(shell("app", script), restartPolicy="Always")
    doomed.shown.until_phase("doomed", "Running")
    doomed.delete()
    last = doomed.until_it_is_gone(within=5)
    assert last["phase"] == phase
    assert ended(last, "app")["exitCode"] == int(reaction[-1])
    assert doomed.shown.phases("doomed") == ["Pending", "Running", phase]
    doomed.until_told("Pulled", "Created", "Started", "Killing")
    assert doomed.events()[-1] == ("Killing", "Stopping container app")


def test_while_pulling(doomed: Doomed, silent_registry: str) -> None:
    image = f"{silent_registry}/nothing:1"
    doomed.create(shell("app", POLITE, image=image))
    eventually(lambda: ("Pulling", f'Pulling image "{image}"') in doomed.events())
    doomed.delete()
    last = doomed.until_it_is_gone(within=5)
    assert (last["phase"], ended(last, "app")) == ("Failed", LOST)
    doomed.until_told("Pulling")


def test_while_in_init(doomed: Doomed) -> None:
    """The app never ran and keeps waiting."""
    init, later = shell("init", "sleep 1000"), shell("later", "true")
    image = {"image": IMAGE}
    doomed.create(shell("app", POLITE), initContainers=[init | image, later | image])
    doomed.shown.until("doomed", "init", "running")
    doomed.delete("--grace-period=1")
    last = doomed.until_it_is_gone(within=8)
    assert (last["phase"], ended(last, "init")) == ("Failed", {"exitCode": 137, "reason": "Error"})
    for waiting in ("later", "app"):
        assert container_status(last, waiting)["state"] == {"waiting": {"reason": "PodInitializing"}}
    doomed.until_told("Pulled", "Created", "Started", "Killing")
    assert doomed.events()[-1] == ("Killing", "Stopping container init")


def test_in_crash_loop_back_off(doomed: Doomed) -> None:
    doomed.create(shell("app", "exit 7"), restartPolicy="Always")
    eventually(lambda: container_status(doomed.shown.last("doomed"), "app").get("restartCount") == 1)
    doomed.shown.until("doomed", "app", "waiting", "CrashLoopBackOff")
    doomed.delete()
    last = doomed.until_it_is_gone(within=5)
    assert (last["phase"], ended(last, "app")) == ("Failed", {"exitCode": 7, "reason": "Error"})
    doomed.until_told("Pulled", "Created", "Started", "BackOff")


@pytest.mark.parametrize("how", [(), ("--force", "--grace-period=0")], ids=["gracefully", "by force"])
def test_with_a_finalizer(
    cluster: Cluster, namespace: str, node: NodeProcess, doomed: Doomed, how: tuple[str, ...]
) -> None:
    """The object stays, for whoever holds it, and shows how the pod ended; nothing of it is left on the node."""
    doomed.create(shell("app", POLITE), finalizers=("example.com/held",))
    doomed.shown.until_phase("doomed", "Running")
    doomed.delete(*how)
    doomed.shown.until_phase("doomed", "Succeeded", 5)
    until_nothing_is_left(node, 5)
    freed = '{"metadata": {"finalizers": null}}'
    cluster.kubectl("patch", "pod", "doomed", f"--namespace={namespace}", f"--patch={freed}")
    last = doomed.until_it_is_gone(within=5)
    assert (last["phase"], ended(last, "app")["exitCode"]) == ("Succeeded", 0)


def test_by_force(node: NodeProcess, doomed: Doomed) -> None:
    """The object goes at once. A hook has one second, and a container two from TERM to KILL, as with a kubelet."""
    hook = {"preStop": {"exec": {"command": ["sleep", "1000"]}}}
    doomed.create(shell("app", STUBBORN, lifecycle=hook), shell("polite", POLITE), terminationGracePeriodSeconds=600)
    doomed.shown.until_phase("doomed", "Running")
    asked = doomed.delete("--force", "--grace-period=0")
    eventually(lambda: doomed.shown.is_gone("doomed"), 2)
    until_nothing_is_left(node, 10)
    assert time.monotonic() - asked > 3 - SLACK
    doomed.until_told(*("Pulled", "Created", "Started") * 2, "Killing", "Killing")


def test_while_its_post_start_hook_runs(doomed: Doomed) -> None:
    """The hook is given up."""
    hook = {"postStart": {"exec": {"command": ["sleep", "1000"]}}}
    doomed.create(shell("app", POLITE, lifecycle=hook), terminationGracePeriodSeconds=600)
    eventually(lambda: ("Started", "Started container app") in doomed.events())
    doomed.delete()
    last = doomed.until_it_is_gone(within=5)
    assert last["phase"] == "Succeeded"
    doomed.until_told("Pulled", "Created", "Started", "Killing")


def test_twice_the_second_time_with_less_grace(doomed: Doomed) -> None:
    doomed.create(shell("app", STUBBORN), terminationGracePeriodSeconds=600)
    doomed.shown.until_phase("doomed", "Running")
    doomed.delete()
    eventually(lambda: ("Killing", "Stopping container app") in doomed.events())
    doomed.delete("--grace-period=900")
    doomed.delete("--grace-period=1")
    last = doomed.until_it_is_gone(within=8)
    assert (last["phase"], ended(last, "app")) == ("Failed", {"exitCode": 137, "reason": "Error"})
    doomed.until_told("Pulled", "Created", "Started", "Killing")


def test_its_name_is_taken_again_at_once(node: NodeProcess, doomed: Doomed) -> None:
    """The new pod does not wait for the containers of the old one, which still run."""
    doomed.create(shell("app", STUBBORN))
    doomed.shown.until_phase("doomed", "Running")
    old = doomed.shown.objects("doomed")[-1]["metadata"]["uid"]
    doomed.delete("--force", "--grace-period=0")
    doomed.create(shell("app", POLITE))
    new = doomed.shown.objects("doomed")[-1]["metadata"]["uid"]
    assert new != old
    doomed.shown.until_phase("doomed", "Running")
    eventually(lambda: not in_docker(node, old), 8)
    assert in_docker(node, new)
    assert {doomed.shown.objects("doomed")[-1]["metadata"]["uid"], new} == {new}
    doomed.delete()
    assert doomed.until_it_is_gone(within=5)["phase"] == "Succeeded"
