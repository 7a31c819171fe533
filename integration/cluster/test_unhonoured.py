"""What a node does not honour of a pod is told to its owner, by name and once, whatever becomes of the node."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from .clients import Cluster
from .home import UNTIL_TOLD, Home
from .nodes import IMAGE, NodeProcess, shell
from .showing import container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

WINDOWS = {"windowsOptions": {"runAsUserName": "somebody"}}
REASON = "UnsupportedField"


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)


def told(home: Home, name: str) -> list[tuple[str, str, int]]:
    """Type, message and count of each event that names a field of the pod."""
    chosen = f"--field-selector=involvedObject.name={name},reason={REASON}"
    events = home.cluster.get("events", f"--namespace={home.namespace}", chosen)["items"]
    return [(event["type"], event["message"], event["count"]) for event in events]


def debug(home: Home, name: str) -> None:
    """Add a container for debugging that asks for what only Windows has."""
    raw = home.there()[name]
    spy = {"name": "spy", "image": IMAGE, "command": ["true"], "securityContext": WINDOWS}
    raw["spec"]["ephemeralContainers"] = [spy | {"terminationMessagePolicy": "File"}]
    path = f"/api/v1/namespaces/{home.namespace}/pods/{name}/ephemeralcontainers"
    home.cluster.kubectl("replace", "--raw", path, "-f", "-", stdin=json.dumps(raw))


def test_it_is_told_once(home: Home) -> None:
    """Of a pod that is refused, and of one that runs without it; they are looked at again and by another process."""
    home.create("mounts", shell("app", "true"), volumes=[{"name": "v", "nfs": {"server": "a.example", "path": "/"}}])
    home.create("web", shell("app", UNTIL_TOLD), shell("other", UNTIL_TOLD), restartPolicy="Always")
    home.until_phase("Running", "web")
    assert told(home, "web") == []
    debug(home, "web")
    eventually(lambda: told(home, "web") and told(home, "mounts"))
    home.tell("web", "other")
    eventually(lambda: container_status(home.status("web"), "other")["restartCount"] == 1)
    home.node.kill()
    home.node.start()
    there = f"--namespace={home.namespace}"
    home.cluster.kubectl("annotate", "pods", "--all", "seen=again", there)
    home.until_works()

    refusal = "known to Kubernetes, but vkprovider does not honour it"
    field = "spec.ephemeralContainers[0].securityContext.windowsOptions"
    assert told(home, "web") == [("Warning", f"{field}: {refusal}", 1)]
    assert container_status(home.status("web"), "app")["restartCount"] == 0
    message = f"spec.volumes[0].nfs: {refusal}"
    assert told(home, "mounts") == [("Warning", message, 1)]
    assert REASON in home.cluster.kubectl("get", "pod", "mounts", there, "--no-headers").split()
    described = home.cluster.kubectl("describe", "pod", "mounts", there)
    assert f"Pod was rejected: {message}" in described
    assert described.count(REASON) == 2  # why it has failed, and the event
