"""``--logs``: each instance of a container is followed once, from its first line to its last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.given import container, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import Program, Reaction
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.actions import Decision
from vkprovider.core.view import PodView
from vkprovider.errors import EngineError, EngineNotFound
from vkprovider.model.engine import LogLine, PullProgress
from vkprovider.model.pod import Pod
from vkprovider.standalone.log_follower import LAST_WORDS_SECONDS, LogFollower


class Sink:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.ends: list[str] = []
        self.notes: list[str] = []

    async def log_room(self) -> None: ...

    def log_line(self, pod: Pod, container: str, line: LogLine) -> None:
        self.lines.append((container, line.data.decode()))

    def log_end(self, pod: Pod, container: str) -> None:
        self.ends.append(container)

    def note(self, text: str) -> None:
        self.notes.append(text)


class Watchers:
    """The node's own watcher, and the follower."""

    def __init__(self, node: LivingNode, follower: LogFollower) -> None:
        self._node = node
        self._follower = follower

    def looked(self, view: PodView, decision: Decision) -> None:
        self._follower.looked(view, decision)
        self._node.told.looked(view, decision)

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None: ...


def prints(*lines: str, **fields: object) -> Program:
    return Program(output=tuple(("stdout", line) for line in lines), **fields)  # type: ignore[arg-type]


@virtual_time
async def test_every_instance_is_followed_once(tmp_path: Path):
    node, sink = await LivingNode.on(tmp_path), Sink()
    node.engine.program("app", prints("one", runs=5, code=1), prints("two", runs=5))
    follower = LogFollower(node.engine, sink)
    async with node.working(pod(container("app"), policy="OnFailure"), watcher=Watchers(node, follower)):
        await node.told.until_phase("Succeeded")
    await follower.aclose()
    assert sink.lines == [("app", "one\n"), ("app", "two\n")]
    assert sink.ends == ["app", "app"]
    assert len(node.engine.calls("logs")) == 2


@virtual_time
async def test_what_a_container_says_when_it_is_told_to_end(tmp_path: Path):
    node, sink = await LivingNode.on(tmp_path), Sink()
    bye = {"TERM": Reaction(code=0, seconds=3, output=("bye",))}
    node.engine.program("app", prints("hello", reactions=bye))
    follower = LogFollower(node.engine, sink)
    p = pod(container("app"), activeDeadlineSeconds=10)
    async with node.working(p, watcher=Watchers(node, follower)):
        await node.told.until_phase("Failed")
    await follower.aclose()
    assert sink.lines == [("app", "hello\n"), ("app", "bye\n")]


@virtual_time
async def test_what_goes_on_is_not_followed_for_ever(tmp_path: Path):
    node, sink = await LivingNode.on(tmp_path), Sink()
    node.engine.program("app", prints("hello"))
    follower = LogFollower(node.engine, sink)
    async with node.working(pod(container("app")), watcher=Watchers(node, follower)):
        await node.told.until_phase("Running")
    await node.clock.sleep(1)
    await follower.aclose()
    assert node.clock.monotonic() == 1 + LAST_WORDS_SECONDS
    assert (sink.lines, sink.ends) == ([("app", "hello\n")], ["app"])


@virtual_time
async def test_without_any_container_there_is_nothing_to_wait_for(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    await LogFollower(node.engine, Sink()).aclose()
    assert node.clock.monotonic() == 0


class NoStart(LivingEngine):
    """Containers are created, and then it is down."""

    async def start(self, container_id):  # type: ignore[no-untyped-def]
        if not self.containers[container_id].is_sandbox:
            raise EngineError("no")
        await super().start(container_id)


@pytest.mark.parametrize(
    ("error", "notes"),
    [
        (EngineNotFound("gone"), []),
        (EngineError("broken"), ["the output of p/app cannot be read any further: broken"]),
    ],
)
@virtual_time
async def test_an_output_that_cannot_be_read(tmp_path: Path, error: EngineError, notes: list[str]):
    node, sink = await LivingNode.on(tmp_path), Sink()
    node.engine.program("app", prints("hello", runs=5))
    node.engine.fail("logs", error)
    follower = LogFollower(node.engine, sink)
    async with node.working(pod(container("app")), watcher=Watchers(node, follower)):
        await node.told.until_phase("Succeeded")
    await follower.aclose()
    assert (sink.lines, sink.ends, sink.notes) == ([], ["app"], notes)


@virtual_time
async def test_a_container_that_has_not_begun_has_nothing_to_say(tmp_path: Path):
    node, sink = await LivingNode.on(tmp_path, NoStart()), Sink()
    follower = LogFollower(node.engine, sink)
    async with node.working(pod(container("app")), watcher=Watchers(node, follower)):
        await node.clock.sleep(5)
    await follower.aclose()
    assert node.engine.calls("logs") == []
