"""The engine cannot be reached for a while: the node says so, its pods go on, and afterwards all is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .clients import Cluster
from .home import UNTIL_TOLD, Home
from .identities import Access
from .nodes import NodeProcess, shell
from .relay import Relay
from .showing import container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
SILENCE_SECONDS = 30  # after which the kubelet calls a node NotReady


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    found = Relay(tmp_path / "engine.sock")
    found.open()
    yield found
    found.close()


@pytest.fixture
def home(
    cluster: Cluster,
    namespace: str,
    access: Access,
    image: None,
    relay: Relay,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Home]:
    """A node that reaches the engine through the relay; the test itself does not need it."""
    node = NodeProcess(cluster, f"node-{uuid4().hex[:8]}", relay.path.parent, access)
    with monkeypatch.context() as environment:
        environment.setenv("DOCKER_HOST", f"unix://{relay.path}")
        node.start()
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)
    node.stop()
    cluster.kubectl("delete", "node", node.name, "--ignore-not-found")


def condition(cluster: Cluster, home: Home) -> tuple[str, str]:
    conditions = cluster.get("node", home.node.name)["status"]["conditions"]
    return next((each["status"], each["message"]) for each in conditions if each["type"] == "Ready")


def test_the_node_is_not_ready_until_the_engine_is_back(cluster: Cluster, home: Home, relay: Relay) -> None:
    home.create("goes-on", shell("app", POLITE), restartPolicy="Always")
    home.create("ends", shell("app", UNTIL_TOLD))
    home.until_phase("Running", "goes-on", "ends")
    instances = home.instances()
    relay.close()
    home.tell("ends", "app")
    eventually(lambda: condition(cluster, home) == ("False", "container runtime is down"), SILENCE_SECONDS + 30)
    assert home.status("ends")["phase"] == "Running"  # nobody knows better
    home.create("meanwhile", shell("app", "true"), nodeName=home.node.name)
    home.delete("goes-on")
    relay.open()
    eventually(home.node.is_ready, 30)
    home.until_phase("Failed", "ends")
    home.until_phase("Succeeded", "meanwhile")
    assert container_status(home.status("ends"), "app")["state"]["terminated"]["exitCode"] == 3
    eventually(lambda: "goes-on" not in home.there())
    left = {each for each in home.instances() if "_meanwhile_" not in each[0]}
    assert left < instances  # nothing was started a second time
    assert home.node.is_alive()


def test_without_an_engine_there_is_no_node(
    cluster: Cluster, access: Access, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.close()
    node = NodeProcess(cluster, f"node-{uuid4().hex[:8]}", relay.path.parent, access)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    node.launch()
    eventually(lambda: not node.is_alive())
    *_, complaint, advice = node.log.splitlines()
    assert complaint == "vkprovider: cannot talk to the Docker engine: No such file or directory"
    assert "DOCKER_HOST" in advice
    assert "Traceback" not in node.log
