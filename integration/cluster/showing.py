"""What a cluster shows of pods while a test looks on, and what a node has of them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .clients import Cluster
from .nodes import NodeProcess
from .waiting import eventually

Json = dict[str, Any]


class Showing:
    """All that the API shows of the pods of a namespace, from now on: each version of each object."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, Json]] = []

    def read(self, lines: Iterator[str]) -> None:
        """Take in what `kubectl get --watch --output-watch-events` prints until it ends."""
        for line in lines:
            update = json.loads(line)
            self.updates.append((update["type"], update["object"]))

    def objects(self, name: str) -> list[Json]:
        """The versions of a pod, in order; of all pods that bore the name."""
        return [raw for kind, raw in list(self.updates) if raw["metadata"]["name"] == name and kind != "DELETED"]

    def statuses(self, name: str) -> list[Json]:
        return [raw["status"] for raw in self.objects(name)]

    def last(self, name: str) -> Json:
        """The status that the pod has now, or had when it went; {} before there is a pod."""
        return next(reversed(self.statuses(name)), {})

    def state(self, name: str, container: str) -> tuple[str, Json]:
        """The state that a container is in now: ("running", {"startedAt": ...}); ("", {}) where it has none."""
        return state(self.last(name), container)

    def states(self, name: str, container: str) -> list[str]:
        """The states that a container was in, without repetitions: ["waiting", "running"]."""
        seen = [state(status, container)[0] for status in self.statuses(name)]
        return [kind for before, kind in zip(["", *seen], seen, strict=False) if kind and kind != before]

    def phases(self, name: str) -> list[str]:
        return list(dict.fromkeys(status["phase"] for status in self.statuses(name)))

    def is_gone(self, name: str) -> bool:
        newest = [kind for kind, raw in list(self.updates) if raw["metadata"]["name"] == name][-1:]
        return newest == ["DELETED"]

    def until_phase(self, name: str, phase: str, seconds: float = 20) -> None:
        eventually(lambda: self.last(name).get("phase") == phase, seconds)

    def until(self, name: str, container: str, kind: str, reason: str = "", seconds: float = 20) -> None:
        """Wait until a container is in a state of that kind, for that reason if there is one."""

        def there() -> bool:
            now, why = self.state(name, container)
            return now == kind and (not reason or why.get("reason") == reason)

        eventually(there, seconds)


@contextmanager
def showing(cluster: Cluster, namespace: str) -> Iterator[Showing]:
    """Look on while the block runs."""
    shown = Showing()
    follow = ["get", "pods", f"--namespace={namespace}", "--watch", "--output-watch-events", "--output=json"]
    with cluster.follow(*follow) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=shown.read, args=(process.stdout,))
        reader.start()
        try:
            yield shown
        finally:
            process.terminate()
            reader.join()


def state(status: Json, container: str) -> tuple[str, Json]:
    """What a pod's status says of the state of a container."""
    of = container_status(status, container)
    return next(iter(of["state"].items())) if of.get("state") else ("", {})


def container_status(status: Json, container: str) -> Json:
    """A container's part of a pod's status; {} where it has none."""
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next((each for each in listed if each["name"] == container), {})


def events_of(cluster: Cluster, namespace: str, pod: str, component: str = "kubelet") -> list[tuple[str, str]]:
    """Reasons and messages of the events on a pod, in the order in which they happened."""
    mine = cluster.get("events", f"--namespace={namespace}", f"--field-selector=involvedObject.name={pod}")["items"]
    told = [event for event in mine if event["source"].get("component") == component]
    told.sort(key=lambda event: (event["firstTimestamp"], event["metadata"]["name"]))
    return [(event["reason"], event["message"]) for event in told]


def in_docker(node: NodeProcess, uid: str = "") -> list[str]:
    """The names of what the engine has of the node's pods, or of one of them."""
    labels = [f"--filter=label=vkprovider.node={node.name}"]
    if uid:
        labels.append(f"--filter=label=io.kubernetes.pod.uid={uid}")
    containers = ["docker", "ps", "--all", "--format={{.Names}}", *labels]
    volumes = ["docker", "volume", "ls", "--format={{.Name}}", *labels]
    return [line for command in (containers, volumes) for line in subprocess.check_output(command, text=True).split()]


def on_disk(node: NodeProcess) -> list[str]:
    """The names of what the node's directory has of pods: their directories and records."""
    home = node.folder / "nodes" / node.name
    return [path.name for part in ("pods", "records") for path in (home / part).glob("*")]


def until_nothing_is_left(node: NodeProcess, seconds: float = 20) -> None:
    eventually(lambda: not in_docker(node) and not on_disk(node), seconds)


def apply(cluster: Cluster, namespace: str, *manifests: Json) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    cluster.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(listed))


def pod(name: str, spec: Json, **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name} | metadata, "spec": spec}
