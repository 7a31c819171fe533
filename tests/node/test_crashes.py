"""kill -9 before and after everything a pod worker does, and what the next process makes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.given import container, marked, native, pod
from tests.fakes.containers import FakeContainer
from tests.fakes.journal import Call
from tests.fakes.node import LivingNode
from tests.fakes.programs import Program, ends, ignores_term, on_term
from tests.fakes.virtual_time import run_in_virtual_time
from tests.node.mortal import Life, MortalCheckpoint, MortalEngine
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.checkpoint import Saved
from vkprovider.node.dispatcher import Dispatcher

EXEC = {"exec": {"command": ["true"]}}
GRACE = timedelta(seconds=30)


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, what its containers do, when it is deleted, how long there is no process, and when all is over."""

    pod: Pod
    programs: dict[str, Program]
    over: Callable[[LivingNode], object]
    deleted: Pod | None = None
    deleted_at: float = 0
    down: float = 0


class Story(msgspec.Struct, kw_only=True):
    """How a pod fared in two processes: the first did ``deeds`` things and left ``saved`` on disk, ``first`` are its
    calls of the engine and ``second`` those of the process that took over at ``back_at``.
    """

    node: LivingNode
    deeds: int
    saved: Saved | None
    back_at: datetime
    first: list[Call]
    second: list[Call]

    def only(self, name: str) -> FakeContainer:
        """The one instance of a container that ever ran, and that ran once."""
        (instance,) = [c for c in self.node.engine.ever.values() if c.name == name and c.runs]
        assert instance.runs == 1
        return instance


def stories(directory: Path, plot: Plot, stride: int, *, after: bool) -> Iterator[Story]:
    """First the story in which the first process lives to the end, then one for each of its deeds, or some of them."""
    whole = run_in_virtual_time(live_twice(directory / "whole", plot, 0, after))
    yield whole
    for last in range(1, whole.deeds + 1, stride):
        yield run_in_virtual_time(live_twice(directory / str(last), plot, last, after))


async def live_twice(directory: Path, plot: Plot, last: int, after: bool) -> Story:
    """One process until it dies, for a while none, and another one until all is over."""
    node = await LivingNode.on(directory)
    for name, program in plot.programs.items():
        node.engine.program(name, program)
    life = Life(last, after=after)
    mortal: Any = MortalEngine(node.engine, life)
    disk = MortalCheckpoint(node.checkpoint, life)
    async with node.at_work(engine=mortal, checkpoint=disk) as dispatcher, pods_given(node, dispatcher, plot, None):
        await first_of(life.over.wait(), node.told.until(lambda: plot.over(node)))
    saved = await asyncio.to_thread(node.checkpoint.load, plot.pod.uid)
    calls = len(node.engine.journal)
    await node.clock.sleep(plot.down)
    later = LivingNode(directory, node.engine, node.checkpoint)
    back_at = later.clock.now()
    async with later.at_work() as dispatcher, pods_given(later, dispatcher, plot, saved):
        await later.told.until(lambda: plot.over(later))
    journal = node.engine.journal
    return Story(
        node=later, deeds=life.deeds, saved=saved, back_at=back_at, first=journal[:calls], second=journal[calls:]
    )


@asynccontextmanager
async def pods_given(node: LivingNode, dispatcher: Dispatcher, plot: Plot, saved: Saved | None) -> AsyncIterator[None]:
    """Tell the dispatcher of the pod as it is now, and of its deletion when that comes."""

    async def deletion() -> None:
        await node.clock.sleep(plot.deleted_at - node.clock.monotonic())
        dispatcher.sync(plot.deleted or plot.pod)

    deleted = plot.deleted is not None and node.clock.monotonic() >= plot.deleted_at
    dispatcher.sync((plot.deleted if deleted else None) or plot.pod, saved.record if saved is not None else None)
    user = asyncio.create_task(deletion() if plot.deleted is not None else asyncio.sleep(0))
    yield
    user.cancel()


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()


def terms(calls: list[Call]) -> int:
    return sum(call.verb == "signal" and call.detail == "" for call in calls)


def outcome(status: dict[str, Any]) -> Any:
    """What users care for: the phase, and how each container ended, with its times."""
    own = {"containerID"}
    ends = [{k: v for k, v in c["state"]["terminated"].items() if k not in own} for c in status["containerStatuses"]]
    return status["phase"], ends, [(c["name"], c["restartCount"]) for c in status["containerStatuses"]]


# --- the seed's Job ----------------------------------------------------------------------------------------------

SEED = Plot(
    pod=pod(container("app"), marked("sidecar")),
    programs={"app": ends(0, after=10), "sidecar": ignores_term()},
    over=lambda node: node.told.status.get("phase") == "Succeeded",
)


def check_the_seed(story: Story) -> None:
    """Nothing ran twice; TERM once, unless nobody could know that it had been sent; KILL once, at the deadline that
    was written down, or at once if that is over.
    """
    app, sidecar = story.only("app"), story.only("sidecar")
    assert story.only("POD").finished_at is not None
    assert story.node.engine.containers.keys() == {app.id, sidecar.id}
    assert app.finished_at is not None
    record = story.saved.record if story.saved is not None else None
    ending = record.ending if record is not None else None
    deadline = (ending.began_at if ending is not None else max(app.finished_at, story.back_at)) + GRACE
    confirmed = record is not None and any(stop.term_sent for stop in record.stops.values())
    assert confirmed <= terms(story.first) <= 1
    assert terms(story.second) == (0 if confirmed or story.back_at >= deadline else 1)
    (kill,) = [call for call in story.first + story.second if call.detail == "KILL"]
    assert kill.at == deadline or kill.at == story.back_at > deadline
    assert sidecar.finished_at == kill.at


@pytest.mark.parametrize(("down", "after", "stride"), [(0, False, 1), (0, True, 1), (3, True, 2), (60, False, 3)])
def test_the_seeds_job_survives_kill_9_at_any_moment(tmp_path: Path, down: float, after: bool, stride: int):
    whole, *crashed = stories(tmp_path, msgspec.structs.replace(SEED, down=down), stride, after=after)
    assert terms(whole.first) == 1
    assert len(crashed) > 20 / stride
    for story in crashed:
        check_the_seed(story)
        if not down:
            assert outcome(story.node.told.status) == outcome(whole.node.told.status)


# --- a pod with hooks that is deleted ----------------------------------------------------------------------------

HOOKS = {"postStart": {"exec": {"command": ["postStart"]}}, "preStop": {"exec": {"command": ["preStop"]}}}
HOOKED = pod(container("app", lifecycle=HOOKS), inits=(container("init"), native("side", lifecycle=HOOKS)))
MARKS = {"deletionTimestamp": "2026-01-01T12:00:40Z", "deletionGracePeriodSeconds": 30}
DELETION = Plot(
    pod=HOOKED,
    programs={"init": ends(0, after=2), "app": on_term(0, after=3), "side": on_term(0, after=3)},
    over=lambda node: node.told.gone_pods,
    deleted=decode_pod(HOOKED.raw | {"metadata": HOOKED.raw["metadata"] | MARKS}),
    deleted_at=10,
)


def check_the_deletion(story: Story) -> None:
    """Each container ran once, each hook at most once; the app ended before its sidecar was to; nothing is left."""
    app, side, engine = story.only("app"), story.only("side"), story.node.engine
    assert story.only("POD").finished_at is not None
    assert story.only("init").exit_code == 0
    hooks = Counter((call.target, call.detail) for call in engine.calls("exec"))
    assert set(hooks.values()) == {1}
    assert app.finished_at is not None
    assert min(call.at for call in engine.calls("signal") if call.target == side.spec.name) >= app.finished_at
    assert [call for call in engine.calls("signal") if call.detail == "KILL"] == []
    assert engine.containers == {}
    assert list((Path(story.node.dirs.root) / "pods").iterdir()) == []
    assert list((Path(story.node.dirs.root) / "records").glob("*.json")) == []


@pytest.mark.parametrize(("down", "after", "stride"), [(0, True, 2), (4, False, 2)])
def test_a_deletion_survives_kill_9_at_any_moment(tmp_path: Path, down: float, after: bool, stride: int):
    whole, *crashed = stories(tmp_path, msgspec.structs.replace(DELETION, down=down), stride, after=after)
    assert len(whole.node.engine.calls("exec")) == 4
    assert len(crashed) > 30 / stride
    for story in (whole, *crashed):
        check_the_deletion(story)
