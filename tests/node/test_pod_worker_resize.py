"""Resizes of pods that share a node: workers with everything real but the engine, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from tests.core.given import container, deleted, pod
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import virtual_time
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID
from vkprovider.node.ledger import Ledger


def wanting(name: str, cpu: str, generation: int = 1, **fields: Any) -> Pod:
    """A pod of one container that bears the pod's name."""
    made = pod(container(name, resources={"requests": {"cpu": cpu}}, **fields), policy="Always")
    meta = msgspec.structs.replace(made.metadata, name=name, uid=name, generation=generation)
    return msgspec.structs.replace(made, metadata=meta)


def book() -> Ledger:
    return Ledger(lambda: {"cpu": "2", "memory": "1Gi"})


def last(node: LivingNode, name: str) -> dict[str, Any]:
    """The last status of a pod."""
    return next((status for of, status in reversed(node.told.statuses) if of == name), {})


def allocated(node: LivingNode, name: str) -> Any:
    status = last(node, name)
    return status["containerStatuses"][0].get("allocatedResources") if status else None


def has(node: LivingNode, name: str) -> Any:
    """What the container runs with."""
    return last(node, name)["containerStatuses"][0]["resources"]["requests"]


def pending(node: LivingNode, name: str) -> str:
    conditions = last(node, name).get("conditions", [])
    return next((c["reason"] for c in conditions if c["type"] == "PodResizePending"), "")


def runs(node: LivingNode, name: str) -> bool:
    return last(node, name).get("phase") == "Running"


@virtual_time
async def test_a_pod_that_waits_for_room_gets_it_when_another_goes(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work(ledger=book()) as dispatcher:
        dispatcher.sync(wanting("a", "500m"))
        dispatcher.sync(wanting("b", "1"))
        await node.told.until(lambda: runs(node, "a") and runs(node, "b"))
        dispatcher.sync(wanting("a", "1500m", 2))
        await node.told.until(lambda: pending(node, "a") == "Deferred")
        assert allocated(node, "a") == {"cpu": "500m"}
        before = node.clock.monotonic()
        dispatcher.sync(deleted(wanting("b", "1"), 0))
        await node.told.until(lambda: has(node, "a") == {"cpu": "1500m"})
        assert node.clock.monotonic() == before
        assert pending(node, "a") == ""
        (a,) = node.engine.named("a")
        assert a.spec.limits.cpu_shares == 1536


@virtual_time
async def test_two_that_want_the_same_room_do_not_both_get_it(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work(ledger=book()) as dispatcher:
        for name in "ab":
            dispatcher.sync(wanting(name, "500m"))
        await node.told.until(lambda: runs(node, "a") and runs(node, "b"))
        for name in "ab":
            dispatcher.sync(wanting(name, "1200m", 2))
        await node.told.until(lambda: pending(node, "a") or pending(node, "b"))
        assert sorted([pending(node, "a"), pending(node, "b")]) == ["", "Deferred"]
        claims = [dispatcher.claim(PodUID(name)) for name in "ab"]
        assert sorted(c.amounts["cpu"] for c in claims if c is not None) == [500, 1200]


@virtual_time
async def test_a_process_after_a_crash_knows_what_was_given(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work(ledger=book()) as dispatcher:
        dispatcher.sync(wanting("a", "500m"))
        await node.told.until(lambda: runs(node, "a"))
        dispatcher.sync(wanting("a", "8", 2))
        await node.told.until(lambda: pending(node, "a") == "Infeasible")
    after = await LivingNode.on(tmp_path, node.engine)
    saved = await asyncio.to_thread(after.checkpoint.load, PodUID("a"))
    assert saved is not None
    async with after.at_work(ledger=book()) as dispatcher:
        dispatcher.sync(wanting("a", "8", 2), saved.record)
        await after.told.until(lambda: pending(after, "a") == "Infeasible")
        assert allocated(after, "a") == {"cpu": "500m"}
        claim = dispatcher.claim(PodUID("a"))
        assert claim is not None
        assert claim.amounts["cpu"] == 500
    assert len(node.engine.named("a")) == 1


@virtual_time
async def test_a_pod_that_is_over_takes_nothing(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    ledger = book()
    async with node.at_work(ledger=ledger) as dispatcher:
        once = wanting("a", "500m")
        once = msgspec.structs.replace(once, spec=msgspec.structs.replace(once.spec, restart_policy="Never"))
        dispatcher.sync(once)
        await node.told.until(lambda: runs(node, "a"))
        assert ledger.claim(PodUID("a")) is not None
        (a,) = node.engine.named("a")
        node.engine.exit(a.id)
        await node.told.until(lambda: last(node, "a").get("phase") == "Succeeded")
        assert ledger.claim(PodUID("a")) is None


@virtual_time
async def test_an_instance_made_while_a_resize_waits_has_what_was_given(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work(ledger=book()) as dispatcher:
        dispatcher.sync(wanting("a", "500m"))
        await node.told.until(lambda: runs(node, "a"))
        dispatcher.sync(wanting("a", "8", 2))
        await node.told.until(lambda: pending(node, "a") == "Infeasible")
        (first,) = node.engine.named("a")
        node.engine.exit(first.id, 1)
        await node.told.until(lambda: len(node.engine.named("a")) == 2)
        assert {c.spec.limits.cpu_shares for c in node.engine.named("a")} == {512}
