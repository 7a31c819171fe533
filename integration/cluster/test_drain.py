"""``vkprovider node --drain``: told to stop, the node ends its pods in order before it goes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .clients import Cluster
from .home import UNTIL_TOLD, Home, docker, ends, now
from .identities import Access
from .nodes import IMAGE, NodeProcess, shell
from .showing import Json, container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

SLOW = "trap 'sleep 0.5; exit 0' TERM; sleep 1000 & wait"
POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
STUBBORN = "sleep 1000"  # a shell that is PID 1 does not hear TERM
MARK = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}
NATIVE = {"restartPolicy": "Always", "image": IMAGE}
SAID = "Pod was terminated in response to imminent node shutdown."


@pytest.fixture
def home(
    cluster: Cluster, namespace: str, access: Access, image: None, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Home]:
    """A node that drains, with the flags that the test's parameter adds."""
    name = f"node-{uuid4().hex[:8]}"
    flags = getattr(request, "param", ())
    with NodeProcess(cluster, name, tmp_path, access, "--drain", *flags) as node:
        yield Home(cluster, namespace, node)
        if not node.is_alive():
            node.stop()
            node.start()
        cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
        eventually(lambda: not in_docker(node), 30)


def ready(cluster: Cluster, node: NodeProcess) -> Json:
    conditions = cluster.get("node", node.name)["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "Ready")


def test_pods_end_in_order_and_say_why(cluster: Cluster, home: Home) -> None:
    home.create("native", shell("app", SLOW), initContainers=[shell("side", POLITE) | NATIVE])
    home.create("marked", shell("app", SLOW), shell("side", POLITE) | MARK, restartPolicy="Always")
    home.create("over", shell("app", "true"))
    home.until_phase("Running", "native", "marked")
    home.until_phase("Succeeded", "over")
    over, uids, since = home.status("over"), {name: home.uid(name) for name in ("native", "marked")}, now()
    home.node.stop()
    for name, uid in uids.items():
        assert ends(since, uid) == [("kill", "app"), ("die", "app"), ("kill", "side"), ("die", "side")]
        status = home.status(name)
        assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Terminated", SAID)
        target = next(each for each in status["conditions"] if each["type"] == "DisruptionTarget")
        assert (target["status"], target["reason"], target["message"]) == ("True", "TerminationByKubelet", SAID)
        ended = [container_status(status, each)["state"]["terminated"]["exitCode"] for each in ("app", "side")]
        assert ended == [0, 0]
    assert home.status("over") == over
    condition = ready(cluster, home.node)
    assert (condition["status"], condition["reason"]) == ("False", "KubeletNotReady")
    assert condition["message"] == "node is shutting down"
    assert "drained: no pod runs any more" in home.node.log
    instances, statuses = home.instances(), {name: home.status(name) for name in uids}
    home.node.start()
    home.until_works()
    assert home.instances() == instances  # what has ended stays so
    assert {name: home.status(name) for name in uids} == statuses


@pytest.mark.parametrize("home", [("--drain-timeout", "3")], indirect=True)
def test_the_grace_of_a_drain_can_be_cut(home: Home) -> None:
    home.create("stubborn", shell("app", STUBBORN), terminationGracePeriodSeconds=600)
    home.create("quick", shell("app", POLITE), terminationGracePeriodSeconds=600)
    home.until_phase("Running", "stubborn", "quick")
    home.node.stop()
    codes = [
        container_status(home.status(name), "app")["state"]["terminated"]["exitCode"] for name in ("stubborn", "quick")
    ]
    assert codes == [137, 0]


def test_told_twice_it_leaves_the_rest_to_the_next_start(home: Home) -> None:
    home.create("stubborn", shell("app", UNTIL_TOLD), shell("side", POLITE) | MARK, terminationGracePeriodSeconds=600)
    home.until_phase("Running", "stubborn")
    app, since = home.container("stubborn", "app"), now()
    os.kill(home.node.pid, signal.SIGTERM)
    eventually(lambda: ends(since, home.uid("stubborn")) == [("kill", "app")])
    home.node.stop()
    assert docker("inspect", "--format={{.State.Running}}", app) == "true"
    assert home.status("stubborn")["phase"] == "Running"
    home.node.start()
    home.until_works()
    home.tell("stubborn", "app")
    home.until_phase("Failed", "stubborn")
    assert home.status("stubborn")["reason"] == "Terminated"
    steps = [("kill", "app"), ("die", "app"), ("kill", "side"), ("die", "side")]
    assert ends(since, home.uid("stubborn")) == steps  # no second TERM: the old end goes on


def test_a_pod_that_comes_too_late_is_turned_away(cluster: Cluster, home: Home) -> None:
    home.create("stubborn", shell("app", UNTIL_TOLD), terminationGracePeriodSeconds=600)
    home.until_phase("Running", "stubborn")
    os.kill(home.node.pid, signal.SIGTERM)
    eventually(lambda: ready(cluster, home.node)["status"] == "False")
    home.create("late", shell("app", POLITE), nodeName=home.node.name)
    home.until_phase("Failed", "late")
    assert home.status("late")["reason"] == "NodeShutdown"
    home.tell("stubborn", "app")
    home.until_phase("Failed", "stubborn")
    eventually(lambda: not home.node.is_alive())
