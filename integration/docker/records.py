"""What Docker itself says happened to vkprovider's containers: its events, with its own times and exit codes."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import docker

from integration.docker.lines import PATIENCE, Lines
from vkprovider.model.labels import ATTEMPT, CONTAINER_NAME, NODE, POD_NAME, POD_UID, SANDBOX_NAME, TYPE

T = TypeVar("T")

TERM, KILL, INT = 15, 9, 2


class Event(NamedTuple):
    """``at`` in seconds since 1970. ``action`` without what Docker adds to it: ``exec_start: sh`` is ``exec_start``."""

    at: float
    action: str
    container: str
    attributes: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the container, as the pod has it; POD for a sandbox."""
        return self.attributes.get(CONTAINER_NAME, "")


class Signal(NamedTuple):
    number: int
    at: float


class Instance(NamedTuple):
    """One container from its creation to its removal."""

    id: str
    events: tuple[Event, ...]

    @property
    def name(self) -> str:
        return self.events[0].name

    @property
    def pod(self) -> str:
        return self.events[0].attributes[POD_NAME]

    @property
    def uid(self) -> str:
        return self.events[0].attributes[POD_UID]

    @property
    def attempt(self) -> int:
        return int(self.events[0].attributes[ATTEMPT])

    def times(self, action: str) -> list[float]:
        return [event.at for event in self.events if event.action == action]

    @property
    def created(self) -> float:
        (at,) = self.times("create")
        return at

    @property
    def started(self) -> float:
        """It may be asked only of one that was started once: none may be started twice."""
        (at,) = self.times("start")
        return at

    @property
    def ended(self) -> float:
        (at,) = self.times("die")
        return at

    @property
    def code(self) -> int:
        (event,) = (event for event in self.events if event.action == "die")
        return int(event.attributes["exitCode"])

    @property
    def signals(self) -> list[Signal]:
        return [Signal(int(e.attributes["signal"]), e.at) for e in self.events if e.action == "kill"]

    @property
    def signal_numbers(self) -> list[int]:
        return [signal.number for signal in self.signals]

    def signalled(self, number: int) -> float:
        (at,) = (signal.at for signal in self.signals if signal.number == number)
        return at


class Records:
    """Docker's events of all nodes, from when this was made on."""

    def __init__(self, client: docker.APIClient, lines: Lines, image: str) -> None:
        self.client = client
        self._lines = lines
        self._image = image

    def events(self, node: str) -> list[Event]:
        """All events of a node's pods so far, the oldest first."""
        return _of_node(self._lines.all(), node)

    def instances(self, node: str) -> list[Instance]:
        """All containers of a node's pods, sandboxes too, in the order of their creation."""
        return _instances(self.events(node))

    def until(self, node: str, found: Callable[[list[Event]], T | None], what: str, seconds: float = PATIENCE) -> T:
        """Wait until something is found in a node's events, and give it."""
        return self._lines.until(lambda lines: found(_of_node(lines, node)), what, seconds)

    def catch_up(self) -> None:
        """Return when all that has happened is known: when something is that happens only now."""
        marker = f"marker-{uuid.uuid4().hex}"
        created = self.client.create_container(self._image, command=["true"], labels={NODE: marker})
        self.client.remove_container(created["Id"])
        self._lines.until_line(marker, '"destroy"')

    def left(self, node: str) -> list[str]:
        """What is still there of a node: the names of containers, dead or alive, and of volumes."""
        filters = {"label": f"{NODE}={node}"}
        containers = [name for c in self.client.containers(all=True, filters=filters) for name in c["Names"]]
        volumes = [volume["Name"] for volume in self.client.volumes(filters=filters)["Volumes"] or ()]
        return containers + volumes

    def remove(self, node: str) -> None:
        """Clean up behind a test that failed."""
        filters = {"label": f"{NODE}={node}"}
        for container in self.client.containers(all=True, filters=filters):
            self.client.remove_container(container["Id"], force=True, v=True)
        for volume in self.client.volumes(filters=filters)["Volumes"] or ():
            self.client.remove_volume(volume["Name"])

    def programs(self, container_id: str) -> list[str]:
        """The command lines of what runs in a container now."""
        return [" ".join(process[-1:]) for process in self.client.top(container_id)["Processes"]]


@contextmanager
def keep_records(client: docker.APIClient, image: str) -> Iterator[Records]:
    """``image`` is any that the engine has."""
    command = ["docker", "events", f"--since={time.time():.9f}", "--filter=type=container"]  # noqa: TID251
    with subprocess.Popen(
        [*command, f"--filter=label={NODE}", "--format={{json .}}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = Lines(process.stdout)
        yield Records(client, lines, image)
        process.terminate()
        lines.join()


def _of_node(lines: list[str], node: str) -> list[Event]:
    """Of its pods, not of the containers that are run for a moment as tools."""
    mark = f'"{NODE}":"{node}"'
    events = (_event(json.loads(line)) for line in lines if mark in line)
    return [event for event in events if event.attributes.get(TYPE) != "tool"]


def _event(raw: dict[str, Any]) -> Event:
    return Event(
        at=raw["timeNano"] / 1e9,
        action=raw["Action"].partition(":")[0],
        container=raw["Actor"]["ID"],
        attributes=raw["Actor"]["Attributes"],
    )


def _instances(events: list[Event]) -> list[Instance]:
    ids = dict.fromkeys(event.container for event in events)
    return [Instance(id, tuple(e for e in events if e.container == id)) for id in ids]


def no_sandboxes(instances: list[Instance]) -> list[Instance]:
    return [instance for instance in instances if instance.name != SANDBOX_NAME]
