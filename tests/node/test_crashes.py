"""kill -9 before and after everything a pod worker does, and what the next process makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.given import container, marked, native, pod
from tests.fakes.containers import FakeContainer
from tests.fakes.engine import Call
from tests.fakes.node import LivingNode
from tests.fakes.programs import ends, ignores_term, on_term
from tests.fakes.virtual_time import run_in_virtual_time
from tests.node.mortal import Life, MortalCheckpoint, MortalEngine
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.checkpoint import Saved

EXEC = {"exec": {"command": ["true"]}}
GRACE = timedelta(seconds=30)
BEFORE_AND_AFTER = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])


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
        (instance,) = self.node.engine.named(name)
        return instance


Plot = Callable[[Path, Life], Coroutine[Any, Any, Story]]


async def live_twice(node: LivingNode, life: Life, down: float, p: Pod, over: Callable[[LivingNode], object]) -> Story:
    """One process until it dies, ``down`` seconds without any, and another one until the pod is over."""
    mortal: Any = MortalEngine(node.engine, life)
    async with node.working(p, engine=mortal, checkpoint=MortalCheckpoint(node.checkpoint, life)):
        ends_of_life = [asyncio.create_task(life.over.wait()), asyncio.create_task(node.told.until(lambda: over(node)))]
        await asyncio.wait(ends_of_life, return_when=asyncio.FIRST_COMPLETED)
        for task in ends_of_life:
            task.cancel()
    saved = await asyncio.to_thread(node.checkpoint.load, p.uid)
    calls = len(node.engine.journal)
    await node.clock.sleep(down)
    later = LivingNode(Path(node.dirs.root), node.engine, node.checkpoint)
    back_at = later.clock.now()
    async with later.at_work() as dispatcher:
        if saved is None:
            dispatcher.sync(p)
        else:
            dispatcher.sync(decode_pod(saved.pod), saved.record)
        await later.told.until(lambda: over(later))
    return Story(
        node=later,
        deeds=life.deeds,
        saved=saved,
        back_at=back_at,
        first=node.engine.journal[:calls],
        second=node.engine.journal[calls:],
    )


def stories(directory: Path, plot: Plot, *, after: bool) -> Iterator[Story]:
    """First the story in which the first process lives to the end, then one for each of its deeds."""

    async def told(last: int) -> Story:
        return await plot(directory / str(last), Life(last, after=after))

    whole = run_in_virtual_time(told(0))
    yield whole
    for last in range(1, whole.deeds + 1):
        yield run_in_virtual_time(told(last))


def terms(calls: list[Call]) -> int:
    return sum(call.verb == "signal" and call.detail == "" for call in calls)


def timeless(status: dict[str, Any]) -> dict[str, Any]:
    """Without the transition times of conditions, which a process does not inherit."""
    return status | {"conditions": [c | {"lastTransitionTime": None} for c in status["conditions"]]}


# --- the seed's Job ----------------------------------------------------------------------------------------------

SEED = pod(container("app"), marked("sidecar"))


def seed(down: float) -> Plot:
    async def plot(directory: Path, life: Life) -> Story:
        node = await LivingNode.on(directory)
        node.engine.program("app", ends(0, after=10))
        node.engine.program("sidecar", ignores_term())
        return await live_twice(node, life, down, SEED, lambda node: node.told.status.get("phase") == "Succeeded")

    return plot


def check_the_seed(story: Story) -> None:
    """Nothing ran twice; TERM once, unless nobody could know that it had been sent; KILL once, at the deadline that
    was written down, or at once if that is over.
    """
    app, sidecar = story.only("app"), story.only("sidecar")
    assert (app.runs, sidecar.runs) == (1, 1)
    assert story.node.engine.containers.keys() == {app.id, sidecar.id}  # the sandbox is gone
    assert app.finished_at is not None
    record = story.saved.record if story.saved is not None else None
    ending = record.ending if record is not None else None
    deadline = (ending.began_at if ending is not None else max(app.finished_at, story.back_at)) + GRACE
    confirmed = record is not None and any(stop.term_sent for stop in record.stops.values())
    assert terms(story.first) <= 1
    assert terms(story.second) == (0 if confirmed or story.back_at >= deadline else 1)
    (kill,) = [call for call in story.first + story.second if call.detail == "KILL"]
    assert kill.at == deadline or kill.at == story.back_at > deadline
    assert sidecar.finished_at == kill.at


@BEFORE_AND_AFTER
@pytest.mark.parametrize("down", [0, 3, 60])
def test_the_seeds_job_survives_kill_9_at_any_moment(tmp_path: Path, after: bool, down: float):
    whole, *crashed = stories(tmp_path, seed(down), after=after)
    assert terms(whole.first) == 1
    assert len(crashed) > 20
    for story in crashed:
        check_the_seed(story)
        if not down:
            assert timeless(story.node.told.status) == timeless(whole.node.told.status)


# --- a pod with hooks that is deleted ----------------------------------------------------------------------------

HOOKS = {"postStart": EXEC, "preStop": EXEC}
HOOKED = pod(container("app", lifecycle=HOOKS), inits=(container("init"), native("side", lifecycle=HOOKS)))
MARKS = {"deletionTimestamp": "2026-01-01T12:00:40Z", "deletionGracePeriodSeconds": 30}
DELETED = decode_pod(HOOKED.raw | {"metadata": HOOKED.raw["metadata"] | MARKS})


async def deletion(directory: Path, life: Life) -> Story:
    """It is deleted ten seconds after its start, whoever is there to see it; each container needs three to end."""
    node = await LivingNode.on(directory)
    node.engine.program("init", ends(0, after=2))
    for name in ("app", "side"):
        node.engine.program(name, on_term(0, after=3))

    def gone(node: LivingNode) -> bool:
        return HOOKED.uid in node.told.gone_pods

    mortal: Any = MortalEngine(node.engine, life)
    async with node.working(HOOKED, engine=mortal, checkpoint=MortalCheckpoint(node.checkpoint, life)) as worker:
        await node.clock.sleep(10)
        worker.update(DELETED)
        ends_of_life = [asyncio.create_task(life.over.wait()), asyncio.create_task(node.told.until(lambda: gone(node)))]
        await asyncio.wait(ends_of_life, return_when=asyncio.FIRST_COMPLETED)
        for task in ends_of_life:
            task.cancel()
    later = LivingNode(directory, node.engine, node.checkpoint)
    saved = await asyncio.to_thread(node.checkpoint.load, HOOKED.uid)
    calls = len(node.engine.journal)
    async with later.at_work() as dispatcher:
        dispatcher.sync(DELETED, saved.record if saved is not None else None)
        await later.told.until(lambda: gone(later))
    return Story(
        node=later,
        deeds=life.deeds,
        saved=saved,
        back_at=later.clock.now(),
        first=node.engine.journal[:calls],
        second=node.engine.journal[calls:],
    )
