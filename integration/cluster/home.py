"""The pods of one namespace on one node: what a test does to them, and what the API and the engine have of them."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from uuid import uuid4

from .clients import Cluster
from .nodes import NodeProcess, on, shell
from .showing import Json, apply, events_of, in_docker, pod
from .waiting import eventually

UNTIL_TOLD = "until [ -e /told ]; do sleep 0.1; done; exit 3"


class Home:
    """A node, the pods of a namespace on it, and what the engine has of them."""

    def __init__(self, cluster: Cluster, namespace: str, node: NodeProcess) -> None:
        self.node = node
        self.cluster = cluster
        self._in = f"--namespace={namespace}"
        self.namespace = namespace

    def create(self, name: str, *containers: Json, **spec: Any) -> None:
        apply(self.cluster, self.namespace, pod(name, on(self.node.name, *containers, **spec)))

    def delete(self, name: str, *flags: str) -> None:
        self.cluster.kubectl("delete", "pod", name, self._in, "--wait=false", *flags)

    def there(self) -> dict[str, Json]:
        """The pods' objects by name."""
        return {raw["metadata"]["name"]: raw for raw in self.cluster.get("pods", self._in)["items"]}

    def status(self, name: str) -> Json:
        return self.there()[name]["status"]

    def uid(self, name: str) -> str:
        return str(self.there()[name]["metadata"]["uid"])

    def until_phase(self, phase: str, *names: str, seconds: float = 30) -> None:
        eventually(lambda: all(self.there()[name]["status"]["phase"] == phase for name in names), seconds)

    def events(self, name: str) -> list[tuple[str, str]]:
        return events_of(self.cluster, self.namespace, name)

    def container(self, name: str, container: str) -> str:
        """The engine's id of a container's newest instance."""
        labels = [f"io.kubernetes.pod.uid={self.uid(name)}", f"io.kubernetes.container.name={container}"]
        filters = [f"--filter=label={label}" for label in labels]
        return docker("ps", "--all", "--quiet", "--no-trunc", "--latest", *filters)

    def instances(self) -> set[tuple[str, str, str]]:
        """Every container of the node by name and id, and when it was started last: any start would show."""
        ids = docker("ps", "--all", "--quiet", f"--filter=label=vkprovider.node={self.node.name}").split()
        return (
            {(c["Name"], c["Id"], c["State"]["StartedAt"]) for c in json.loads(docker("inspect", *ids))}
            if ids
            else set()
        )

    def tell(self, name: str, container: str) -> None:
        """Have a container that runs ``UNTIL_TOLD`` exit."""
        command = ["docker", "exec", self.container(name, container), "touch", "/told"]
        told = subprocess.run(command, check=False, capture_output=True)
        assert told.returncode in (0, 137)  # it may be killed along with the container that it has told

    def until_works(self) -> None:
        """Wait until the node's process runs pods: one that is new."""
        name = f"new-{uuid4().hex[:8]}"
        self.create(name, shell("app", "true"))
        self.until_phase("Succeeded", name)
        uid = self.uid(name)
        self.delete(name)
        eventually(lambda: not in_docker(self.node, uid))


def docker(*arguments: str) -> str:
    return subprocess.check_output(["docker", *arguments], text=True).strip()


def now() -> str:
    """The engine's time."""
    return docker("info", "--format={{.SystemTime}}")


def ends(since: str, uid: str) -> list[tuple[str, str]]:
    """How the containers of a pod were ended since then, step by step: ("kill", "app"), ("die", "app").

    A signal is a kill; sandboxes are left out.
    """
    shown = '--format={{.Action}} {{index .Actor.Attributes "io.kubernetes.container.name"}}'
    filters = ["--filter=event=kill", "--filter=event=die", f"--filter=label=io.kubernetes.pod.uid={uid}"]
    lines = docker("events", f"--since={since}", f"--until={now()}", *filters, shown).splitlines()
    steps = [(action, name) for action, name in (line.split() for line in lines)]
    return [step for step in steps if step[1] != "POD"]
