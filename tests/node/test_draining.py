"""A drain ends every pod, those that come late too, and knows when all have ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.core.given import deleted
from tests.fakes.node import LivingNode
from tests.fakes.programs import ends, ignores_term
from tests.fakes.virtual_time import virtual_time
from tests.node.test_dispatcher import A, B, named, phase
from vkprovider.core.view import Eviction
from vkprovider.node.dispatcher import REBUILD_SECONDS
from vkprovider.node.draining import Draining

WHY = Eviction(reason="Terminated", message="it goes")


@virtual_time
async def test_it_returns_when_nothing_runs_any_more(tmp_path: Path):
    node, draining = await LivingNode.on(tmp_path), Draining()
    node.engine.program("app", ignores_term())
    async with node.at_work(watcher=Both(node, draining)) as dispatcher:
        dispatcher.sync(A)
        dispatcher.sync(B)
        await node.told.until(lambda: phase(node, A) == phase(node, B) == "Running")
        assert dispatcher.living == 2
        drain = asyncio.create_task(draining.run(dispatcher, WHY))
        await node.told.until(lambda: dispatcher.workers[A.uid].record.ending)
        dispatcher.sync(late := named("late"))
        await drain
        assert node.clock.monotonic() == 30  # the grace
        assert [phase(node, pod) for pod in (A, B, late)] == ["Failed"] * 3
        assert dispatcher.living == 0
    assert not [c for c in node.engine.containers.values() if c.running]
    assert {reason for reason, _ in node.told.said if reason not in ("Pulled", "Created", "Started")} == {"Killing"}


@virtual_time
async def test_pods_that_are_over_or_go_meanwhile_do_not_hold_it_up(tmp_path: Path):
    node, draining = await LivingNode.on(tmp_path), Draining()
    node.engine.program("app", ends(0, after=1))
    async with node.at_work(watcher=Both(node, draining)) as dispatcher:
        dispatcher.sync(A)
        await node.told.until(lambda: phase(node, A) == "Succeeded")
        dispatcher.sync(B)
        await node.told.until(lambda: phase(node, B) == "Running")
        drain = asyncio.create_task(draining.run(dispatcher, WHY))
        dispatcher.sync(deleted(B, grace=1))
        await drain
        assert phase(node, A) == "Succeeded"
        await node.told.until(lambda: node.told.gone_pods == [B.uid])


@virtual_time
async def test_a_worker_that_fails_meanwhile_is_rebuilt_and_goes_on(tmp_path: Path):
    node, draining = await LivingNode.on(tmp_path), Draining()
    async with node.at_work(watcher=Both(node, draining)) as dispatcher:
        dispatcher.sync(A)
        await node.told.until(lambda: phase(node, A) == "Running")
        node.engine.fail("observe", ZeroDivisionError("a bug"))  # type: ignore[arg-type]
        await draining.run(dispatcher, WHY)
        assert phase(node, A) == "Failed"
        assert node.clock.monotonic() >= REBUILD_SECONDS


@virtual_time
async def test_a_node_without_pods(tmp_path: Path):
    node, draining = await LivingNode.on(tmp_path), Draining()
    async with node.at_work(watcher=draining) as dispatcher:
        await draining.run(dispatcher, WHY)


class Both:
    """Two watchers."""

    def __init__(self, node: LivingNode, draining: Draining) -> None:
        self._watchers = (node.told, draining)

    def looked(self, view, decision):
        for watcher in self._watchers:
            watcher.looked(view, decision)

    def pulling(self, pod, container, progress):
        for watcher in self._watchers:
            watcher.pulling(pod, container, progress)
