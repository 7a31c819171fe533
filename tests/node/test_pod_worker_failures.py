"""Pod workers when things go wrong: the engine, the disk, the worker itself."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.core.given import container, marked, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import ends
from tests.fakes.virtual_time import T0, virtual_time
from tests.node.seed import SEED, after_start, seed_node
from vkprovider.core.actions import ActionFailed
from vkprovider.core.record import PodRecord
from vkprovider.errors import EngineUnavailable
from vkprovider.model.observed import PodObservation, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.ports import Checkpoint

EXEC = {"exec": {"command": ["true"]}}


class DiesAfterStart(LivingEngine):
    """It starts the app and is down from then on."""

    async def start(self, container_id: ContainerID) -> None:
        await super().start(container_id)
        self.down = self.containers[container_id].name == "app"


@virtual_time
async def test_while_the_engine_is_down_nothing_is_lost(tmp_path: Path):
    engine = DiesAfterStart()
    node = await seed_node(tmp_path, engine)
    async with node.working(SEED) as worker:
        await node.clock.sleep(20.5)
        assert engine.down
        assert ("Started", "Started container app") not in node.told.said
        assert node.told.status["phase"] == "Pending"
        engine.down = False
        await node.told.until_phase("Succeeded")
        assert node.told.said.count(("Started", "Started container app")) == 1
        assert after_start(node, "app") == (0, 10)
        assert after_start(node, "sidecar") == (0, 51)  # its grace counts from when the end of the app was seen
        assert [c.runs for c in engine.containers.values()] == [1, 1]
        assert worker.story[-1].phase == "Succeeded"


@virtual_time
async def test_an_outage_is_logged_once(tmp_path: Path):
    node = await seed_node(tmp_path)
    with capture_logs() as logs:
        async with node.working(SEED) as worker:
            for _ in range(2):
                await node.told.until_phase("Running")
                node.engine.down = True
                worker.poke("nothing")
                await node.clock.sleep(4.5)
                node.engine.down = False
                await node.clock.sleep(2)
    refused = "cannot talk to the engine: Connection refused"
    expected = {"event": "engine does not answer", "log_level": "warning", "pod": "default/p", "error": refused}
    assert logs == [expected] * 2


class NobodyListens(io.StringIO):
    """A pipe whose reader has gone away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@virtual_time
async def test_nobody_needs_to_read_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    node = await seed_node(tmp_path)
    monkeypatch.setattr(sys, "stderr", NobodyListens())
    node.engine.fail("create", ZeroDivisionError("a bug"))  # type: ignore[arg-type]
    node.engine.fail("observe", ZeroDivisionError("another"))  # type: ignore[arg-type]
    async with node.working(SEED):
        await node.told.until_phase("Succeeded")


@virtual_time
async def test_lost_changes_cost_time_and_doubled_ones_nothing(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED):
        await node.told.until_phase("Running")
        node.engine.lose_changes = True
        await node.clock.sleep(20)
        assert node.told.status["phase"] == "Running"
        node.engine.lose_changes, node.engine.double_changes = False, True
        node.engine.relist()
        await node.told.until_phase("Succeeded")
    assert after_start(node, "sidecar") == (0, 50)
    assert [c.signals for c in node.engine.named("sidecar")] == [["TERM"]]


@virtual_time
async def test_an_action_that_fails_unexpectedly_is_tried_again(tmp_path: Path):
    node = await seed_node(tmp_path)
    node.engine.fail("create", ZeroDivisionError("a bug"))  # type: ignore[arg-type]
    async with node.working(SEED):
        await node.told.until_phase("Succeeded")
    failures = [news for view, _ in node.told.looks for news in view.news if isinstance(news, ActionFailed)]
    assert failures == [ActionFailed(action="CreateSandbox", message="ZeroDivisionError('a bug')")]
    assert after_start(node, "app") == (1, 11)


@virtual_time
async def test_an_engine_that_does_not_answer_an_action_is_asked_again(tmp_path: Path):
    node = await seed_node(tmp_path)
    node.engine.fail("signal", EngineUnavailable("timed out"), after=True)
    async with node.working(SEED):
        await node.told.until_phase("Succeeded")
    assert after_start(node, "sidecar") == (0, 40)
    (sidecar,) = node.engine.named("sidecar")
    assert sidecar.signals == ["TERM", "TERM"]  # nothing is known of the first, so it is sent again


class LiesOnce(LivingEngine):
    """The first time it shows an ended container it gives a time that cannot be reckoned with."""

    lied = False

    async def observe(self, uid: PodUID) -> PodObservation:
        seen = await super().observe(uid)
        ended = next((c for c in seen.containers if c.run is Run.EXITED), None)
        if ended is None or self.lied:
            return seen
        self.lied = True
        broken = msgspec.structs.replace(ended, finished_at=T0.replace(tzinfo=None))
        others = tuple(c for c in seen.containers if c.id != ended.id)
        return msgspec.structs.replace(seen, containers=(broken, *others))


@virtual_time
async def test_a_decision_that_fails_does_not_end_the_pod(tmp_path: Path):
    engine = LiesOnce()
    node = await LivingNode.on(tmp_path, engine)
    p = pod(container("app"), policy="OnFailure")
    engine.program("app", ends(1, after=10), ends(0, after=10))
    async with node.working(p) as worker:
        await node.told.until_phase("Succeeded")
        assert engine.lied
        assert worker.story[-1].phase == "Running"  # the worker of the failed decision has gone
    assert [c.runs for c in engine.named("app")] == [1, 1]
    assert node.told.status["containerStatuses"][0]["restartCount"] == 1
    assert node.clock.monotonic() == 25


class Diary:
    """A checkpoint that notes what was on disk when the engine was told to do something."""

    def __init__(self, inner: Checkpoint) -> None:
        self._inner = inner
        self.saved: PodRecord | None = None
        self.notes: list[tuple[str, str, str, PodRecord | None]] = []

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None:
        self._inner.save(uid, record, pod)
        self.saved = record

    def delete(self, uid: PodUID) -> None:
        self._inner.delete(uid)


class Noting(LivingEngine):
    """It notes in the diary what it is told to do."""

    diary: Diary

    def _call(self, verb: str, target: str, detail: str = "") -> Any:
        if verb not in ("observe", "pods"):
            self.diary.notes.append((verb, target, detail, self.diary.saved))
        return super()._call(verb, target, detail)


@virtual_time
async def test_what_is_decided_is_on_disk_before_anything_is_done(tmp_path: Path):
    engine = Noting()
    node = await LivingNode.on(tmp_path, engine)
    engine.diary = Diary(node.checkpoint)
    engine.program("app", ends(0, after=10))
    p = pod(container("app"), marked("sidecar", lifecycle={"postStart": EXEC, "preStop": EXEC}))
    async with node.working(p, checkpoint=engine.diary):
        await node.told.until_phase("Succeeded")
        await node.clock.sleep(1)
    assert engine.diary.notes
    (sidecar,) = engine.named("sidecar")
    hooks = [f"{sidecar.id}/PostStart", f"{sidecar.id}/PreStop"]
    for verb, target, detail, saved in engine.diary.notes:
        assert saved is not None
        assert saved.start_time == T0
        if verb == "exec":
            assert saved.hooks[-1] == hooks.pop(0)
        if verb == "signal":
            assert detail == ""
            assert saved.stops[sidecar.id].term_at == saved.stops[sidecar.id].kill_at.replace(second=10)
        if verb == "remove":
            assert target == "k8s_POD_p_default_u_0"
            assert saved.final is not None
            assert saved.final["phase"] == "Succeeded"
    assert {verb for verb, *_ in engine.diary.notes} >= {"create", "start", "exec", "signal", "remove"}
    assert hooks == []


class FullDisk:
    """A checkpoint that cannot be written until there is room again."""

    def __init__(self, inner: Checkpoint) -> None:
        self._inner = inner
        self.full = False

    def save(self, uid: PodUID, record: PodRecord, pod: Pod) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self._inner.save(uid, record, pod)

    def delete(self, uid: PodUID) -> None:
        self._inner.delete(uid)


@virtual_time
async def test_without_a_record_nothing_is_done(tmp_path: Path):
    node = await seed_node(tmp_path)
    disk = FullDisk(node.checkpoint)
    async with node.working(SEED, checkpoint=disk):
        await node.told.until_phase("Running")
        disk.full = True
        await node.clock.sleep(31)
        assert node.engine.calls("signal") == []
        disk.full = False
        await node.told.until_phase("Succeeded")
    assert after_start(node, "sidecar") == (0, 40)  # the deadline is that of the first decision all the same
    assert [c.runs for c in node.engine.containers.values()] == [1, 1]
