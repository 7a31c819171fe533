"""Workers are made on sight, poked when something happens to their pod, rebuilt when they fail, reaped when over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from structlog.testing import capture_logs

from tests.core.given import at, container, deleted, pod
from tests.fakes.node import LivingNode
from tests.fakes.programs import ends, ignores_term
from tests.fakes.virtual_time import virtual_time
from vkprovider.core.record import Ending, PodRecord
from vkprovider.core.relist import TURNS
from vkprovider.errors import EngineUnavailable
from vkprovider.model.observed import Glance
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import PodUID
from vkprovider.node.dispatcher import REBUILD_SECONDS, Dispatcher


def named(name: str) -> Pod:
    p = pod(container("app"))
    return decode_pod(p.raw | {"metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"}})


A, B = named("a"), named("b")
RELIST_SECONDS = 30


def looks(node: LivingNode, of: Pod) -> int:
    return sum(view.pod.uid == of.uid for view, _ in node.told.looks)


def phase(node: LivingNode, of: Pod) -> str | None:
    return next((status["phase"] for uid, status in reversed(node.told.statuses) if uid == of.uid), None)


@asynccontextmanager
async def with_running(tmp_path: Path, *pods: Pod) -> AsyncIterator[tuple[LivingNode, Dispatcher]]:
    """A node on which these pods run."""
    node = await LivingNode.on(tmp_path)
    async with node.at_work() as dispatcher:
        for each in pods:
            dispatcher.sync(each)
        await node.told.until(lambda: all(phase(node, each) == "Running" for each in pods))
        yield node, dispatcher


@virtual_time
async def test_each_pod_has_one_worker(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work() as dispatcher:
        dispatcher.sync(A)
        dispatcher.sync(B)
        first = dispatcher.workers[A.uid]
        newer = msgspec.structs.replace(A, metadata=msgspec.structs.replace(A.metadata, labels={"new": "label"}))
        dispatcher.sync(newer)
        assert dispatcher.workers.keys() == {A.uid, B.uid}
        assert dispatcher.workers[A.uid] is first
        assert first.pod is newer
        await node.told.until(lambda: phase(node, A) == phase(node, B) == "Running")
    assert sorted(c.spec.name for c in node.engine.containers.values() if not c.is_sandbox) == [
        "k8s_app_a_default_uid-a_0",
        "k8s_app_b_default_uid-b_0",
    ]


@virtual_time
async def test_changes_wake_the_workers_they_concern(tmp_path: Path):
    async with with_running(tmp_path, A, B) as (node, _):
        await node.clock.sleep(1)
        before = looks(node, A), looks(node, B)
        node.engine.exit(next(c.id for c in node.engine.containers.values() if c.pod_uid == A.uid and not c.is_sandbox))
        await node.clock.sleep(1)
        assert looks(node, A) > before[0]
        assert looks(node, B) == before[1]


async def relist(node: LivingNode, times: int = 1) -> None:
    for _ in range(times):
        await node.clock.sleep(RELIST_SECONDS - 1)
        node.engine.relist()
        await node.clock.sleep(1)


@virtual_time
async def test_a_relist_looks_at_what_is_new_and_then_at_each_pod_in_its_turn(tmp_path: Path):
    async with with_running(tmp_path, A, B) as (node, _):
        before = looks(node, A), looks(node, B)
        await relist(node)
        assert (looks(node, A), looks(node, B)) == (before[0] + 1, before[1] + 1)
        await relist(node, 2)  # by now they have run for longer than a minute
        before = looks(node, A), looks(node, B)
        await relist(node, 2 * TURNS)
        assert (looks(node, A), looks(node, B)) == (before[0] + 2, before[1] + 2)


@virtual_time
async def test_a_relist_notices_what_was_not_told(tmp_path: Path):
    async with with_running(tmp_path, A, B) as (node, _):
        await relist(node, 3)
        node.engine.lose_changes = True
        before = looks(node, B)
        node.engine.exit(next(c.id for c in node.engine.containers.values() if c.pod_uid == A.uid and not c.is_sandbox))
        await relist(node)
        await node.told.until(lambda: phase(node, A) == "Succeeded", 1)
        assert looks(node, B) - before <= 1


@virtual_time
async def test_an_engine_that_does_not_answer_is_asked_by_all(tmp_path: Path):
    async with with_running(tmp_path, A, B) as (node, _):
        await relist(node, 3)
        before = looks(node, A), looks(node, B)
        node.engine.fail("pods", EngineUnavailable("Read timed out."))
        await relist(node)
        assert (looks(node, A), looks(node, B)) == (before[0] + 1, before[1] + 1)


@virtual_time
async def test_a_list_that_takes_its_time_keeps_nobody_waiting(tmp_path: Path):
    async with with_running(tmp_path, A) as (node, _):
        pods, lists = node.engine.pods, []

        async def slow() -> Mapping[PodUID, Glance]:
            lists.append(node.clock.monotonic())
            await node.clock.sleep(60)
            return await pods()

        node.engine.pods = slow
        begun = node.clock.monotonic()
        for _ in range(4):
            node.engine.relist()
            await node.clock.sleep(1)
        node.engine.exit(next(c.id for c in node.engine.containers.values() if not c.is_sandbox))
        await node.told.until(lambda: phase(node, A) == "Succeeded", 1)
        await node.clock.sleep(300)
        assert [round(at - begun) for at in lists] == [0, 60]  # one at a time, and one for all that came meanwhile


@virtual_time
async def test_changes_of_pods_nobody_knows_are_nothing(tmp_path: Path):
    async with with_running(tmp_path, A) as (node, _):
        pass
    other = await LivingNode.on(tmp_path, node.engine)
    async with other.at_work() as dispatcher:
        node.engine.exit(next(iter(node.engine.containers)))
        await other.clock.sleep(1)
        assert dispatcher.workers == {}
    assert other.told.looks == []


@virtual_time
async def test_a_worker_is_reaped_when_nothing_of_its_pod_is_left(tmp_path: Path):
    async with with_running(tmp_path, A) as (node, dispatcher):
        dispatcher.sync(deleted(A))
        await node.told.until(lambda: node.told.gone_pods)
        await node.clock.sleep(1)
        assert dispatcher.workers == {}
        dispatcher.sync(A)
        await node.told.until(lambda: phase(node, A) == "Running")


@virtual_time
async def test_a_worker_begins_from_the_record_it_is_given(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    record = PodRecord(start_time=at(-5), ending=Ending(cause="Completed", began_at=at(-5), deadline=at(25)))
    async with node.at_work() as dispatcher:
        dispatcher.sync(A, record)
        assert dispatcher.workers[A.uid].record == record
        await node.told.until(lambda: phase(node, A) == "Failed")
    assert node.engine.calls("create") == []


@virtual_time
async def test_the_end_of_the_dispatcher_is_that_of_all_workers(tmp_path: Path):
    async with with_running(tmp_path, A, B) as (node, dispatcher):
        pass
    assert dispatcher.workers == {}
    assert [task.get_name() for task in asyncio.all_tasks() if "pod worker" in task.get_name()] == []
    assert [c.running for c in node.engine.containers.values()] == [True] * 4


@virtual_time
async def test_a_dispatcher_without_pods_ends_as_well(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.at_work() as dispatcher:
        await dispatcher.aclose()


@virtual_time
async def test_a_failed_worker_is_rebuilt_with_the_newest_pod_and_its_record(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    node.engine.program("app", ignores_term())
    async with node.at_work() as dispatcher:
        dispatcher.sync(A)
        await node.told.until(lambda: phase(node, A) == "Running")
        await node.clock.sleep(1)
        first = dispatcher.workers[A.uid]
        node.engine.fail("observe", ZeroDivisionError("a bug"))  # type: ignore[arg-type]
        with capture_logs() as logs:
            first.poke("nothing")
            await node.clock.sleep(REBUILD_SECONDS / 2)
            dispatcher.sync(deleted(A, grace=10))
            await node.told.until(lambda: dispatcher.workers.get(A.uid) is not first)
        assert node.clock.monotonic() == 1 + REBUILD_SECONDS
        await node.told.until(lambda: node.told.gone_pods)
        assert node.clock.monotonic() == 1 + REBUILD_SECONDS + 10
    (entry,) = logs
    assert (entry["event"], entry["pod"], entry["uid"]) == ("pod worker failed; it is rebuilt", "default/a", "uid-a")
    assert any("StartContainer app" in chapter for chapter in entry["story"])


@virtual_time
async def test_a_worker_that_always_fails_disturbs_no_other(tmp_path: Path):
    node, seconds = await LivingNode.on(tmp_path), 12.5 * REBUILD_SECONDS  # between two attempts
    node.engine.program("app", ends(0, after=seconds))

    class Sink:
        """It cannot take the status of one pod."""

        def publish(self, pod: Pod, status: dict[str, object]) -> None:
            if pod.uid == A.uid:
                raise ZeroDivisionError("a bug")
            node.told.publish(pod, status)

        def gone(self, pod: Pod) -> None: ...

    with capture_logs() as logs:
        async with node.at_work(statuses=Sink()) as dispatcher:
            dispatcher.sync(A)
            dispatcher.sync(B)
            await node.told.until(lambda: phase(node, B) == "Succeeded")
            assert node.clock.monotonic() == seconds
    assert len(logs) == 13
    assert phase(node, A) is None


@virtual_time
async def test_thirty_pods_at_once(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    node.engine.program("app", ends(0, after=10))
    pods = [named(f"p{number}") for number in range(30)]
    async with node.at_work() as dispatcher:
        for one in pods:
            dispatcher.sync(one)
        await node.told.until(lambda: all(phase(node, one) == "Succeeded" for one in pods))
        assert node.clock.monotonic() == 10
        for one in pods:
            dispatcher.sync(deleted(one))
        await node.told.until(lambda: len(node.told.gone_pods) == len(pods))
    assert sorted(node.told.gone_pods) == sorted(PodUID(one.uid) for one in pods)
    assert node.engine.containers == {}


@virtual_time
async def test_how_long_the_engine_has_been_silent_is_known(tmp_path: Path):
    """The fake engine, unlike a real one, says nothing by itself."""
    async with with_running(tmp_path, A) as (node, dispatcher):
        await asyncio.sleep(400)
        assert dispatcher.silence >= 400
        node.engine.relist()
        await asyncio.sleep(0.1)
        assert dispatcher.silence < 1
