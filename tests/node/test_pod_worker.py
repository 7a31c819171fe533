"""The shell around the core: a worker with everything real but the engine, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from tests.core.given import container, deleted, marked, native, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import Command, Program, on_term
from tests.fakes.virtual_time import T0, virtual_time
from tests.node.seed import SEED, after_start, seed_node
from vkprovider.core.actions import (
    Action,
    ContainerStarted,
    PullDone,
    PullImage,
    SignalContainer,
    SignalSent,
    StartContainer,
)
from vkprovider.model.engine import ImageInfo, PullProgress, RegistryAuth
from vkprovider.model.observed import PodObservation
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_worker import STORY_LENGTH

ALONE = pod(container("app"))
EXEC = {"exec": {"command": ["true"]}}


def created(node: LivingNode, name: str) -> int:
    """How often the engine was asked to create an instance of a container."""
    return sum(call.target.startswith(f"k8s_{name}_") for call in node.engine.calls("create"))


def begun(node: LivingNode, kind: type[Action], key: str) -> int:
    """How often an action was begun."""
    return sum(isinstance(a, kind) and a.key == key for _, decision in node.told.looks for a in decision.actions)


@virtual_time
async def test_a_pod_from_its_start_until_nothing_is_left(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED) as worker:
        await node.told.until_phase("Succeeded")
        assert node.told.phases == ["Pending", "Running", "Succeeded"]
        assert after_start(node, "app") == (0, 10)
        assert after_start(node, "sidecar") == (0, 40)
        assert (tmp_path / "pods" / SEED.uid).is_dir()
        assert (tmp_path / "records" / f"{SEED.uid}.json").is_file()
        worker.update(deleted(SEED))
        await node.told.until(lambda: node.told.gone_pods)
    assert node.engine.containers == {}
    assert not (tmp_path / "pods" / SEED.uid).exists()
    assert not (tmp_path / "records" / f"{SEED.uid}.json").exists()
    assert node.told.gone_pods == [SEED.uid]


@virtual_time
async def test_events_tell_the_story_in_the_kubelets_words(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED):
        await node.told.until_phase("Succeeded")
    present = 'Container image "busybox:1.28" already present on machine'
    assert node.told.said == [
        ("Pulled", present),
        ("Created", "Created container: sidecar"),
        ("Started", "Started container sidecar"),
        ("Pulled", present),
        ("Created", "Created container: app"),
        ("Started", "Started container app"),
        ("Killing", "Stopping container sidecar"),
    ]


@virtual_time
async def test_pokes_coalesce(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.working(ALONE) as worker:
        await node.told.until_phase("Running")
        await node.clock.sleep(1)
        before = len(node.told.looks)
        for _ in range(100):
            worker.poke("nothing")
        await node.clock.sleep(60)
        assert len(node.told.looks) == before + 1
        assert worker.story[-1].causes == ("nothing",) * 100


@virtual_time
async def test_a_worker_with_nothing_to_do_asks_the_engine_nothing(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.working(ALONE):
        await node.told.until_phase("Running")
        await node.clock.sleep(1)
        before = len(node.engine.journal)
        await node.clock.sleep(86400)
        assert node.engine.journal[before:] == []


@virtual_time
async def test_an_actions_news_and_its_end_are_seen_in_one_look(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED):
        await node.told.until_phase("Succeeded")
    tells = {PullImage: PullDone, StartContainer: ContainerStarted, SignalContainer: SignalSent}
    ended = []
    for (before, decision), (view, _) in pairwise(node.told.looks):
        flying = dict(before.in_flight) | {action.key: action for action in decision.actions}
        for key in flying.keys() - view.in_flight.keys():
            news = tells.get(type(flying[key]))
            assert news is None or [n.key for n in view.news if isinstance(n, news)] == [key]
            ended.append(type(flying[key]))
    assert set(ended) >= tells.keys()


class SlowToAnswer(LivingEngine):
    """It looks when it is asked, and answers half a second later."""

    async def observe(self, uid: PodUID) -> PodObservation:
        seen = await super().observe(uid)
        await asyncio.sleep(0.5)
        return seen


@virtual_time
async def test_what_ends_while_the_engine_is_asked_is_not_begun_again(tmp_path: Path):
    node = await seed_node(tmp_path, SlowToAnswer())
    async with node.working(SEED) as worker:
        pokes = asyncio.create_task(poke_always(node, worker.poke))
        await node.told.until_phase("Succeeded")
        pokes.cancel()
    for name in ("app", "sidecar"):
        assert begun(node, StartContainer, name) == created(node, name) == 1
    assert begun(node, SignalContainer, "sidecar") == 2  # TERM, KILL
    assert [c.runs for c in node.engine.containers.values()] == [1, 1]


async def poke_always(node: LivingNode, poke: Callable[[str], None]) -> None:
    """Whenever a look is over, ask for the next one, so that there is always one under way."""
    while True:
        seen = len(node.told.looks)
        poke("again")
        await node.told.until(lambda seen=seen: len(node.told.looks) > seen)


class PullsForEver(LivingEngine):
    """Its registry never answers. ``pulls`` are those that are waiting."""

    pulls = 0

    async def pull(
        self, name: str, auths: Sequence[RegistryAuth], progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        self.pulls += 1
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            self.pulls -= 1


@virtual_time
async def test_a_deletion_during_a_pull_waits_for_nothing(tmp_path: Path):
    engine = PullsForEver()
    node = await LivingNode.on(tmp_path, engine)
    p = pod(container("app", imagePullPolicy="Always"))
    async with node.working(p) as worker:
        await node.told.until(lambda: ("Pulling", 'Pulling image "busybox:1.28"') in node.told.said)
        assert engine.pulls == 1
        worker.update(deleted(p))
        await node.told.until(lambda: node.told.gone_pods)
        assert node.clock.monotonic() == 0
    assert engine.pulls == 0
    assert engine.containers == {}
    assert node.told.status["phase"] == "Failed"


@virtual_time
async def test_a_status_is_published_only_when_it_differs(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED) as worker:
        await node.told.until_phase("Succeeded")
        for _ in range(3):
            worker.poke("nothing")
            await node.clock.sleep(1)
    assert all(before != after for before, after in pairwise(node.told.statuses))
    assert len(node.told.statuses) < len(node.told.looks)


@virtual_time
async def test_a_worker_that_is_cancelled_leaves_containers_alone(tmp_path: Path):
    node = await seed_node(tmp_path)
    p = pod(container("app", readinessProbe=EXEC | {"periodSeconds": 1}), marked("sidecar"))
    async with node.working(p):
        await node.told.until_phase("Running")
        await node.clock.sleep(3.5)
    before = len(node.engine.journal)
    await node.clock.sleep(5)
    assert node.engine.journal[before:] == []  # no probe either
    assert [c.running for c in node.engine.containers.values()] == [True] * 3
    assert node.engine.calls("signal", "remove") == []
    assert (tmp_path / "records" / f"{p.uid}.json").is_file()


@virtual_time
async def test_a_worker_that_is_cancelled_gives_up_what_is_in_flight(tmp_path: Path):
    engine = PullsForEver()
    node = await LivingNode.on(tmp_path, engine)
    async with node.working(pod(container("app", imagePullPolicy="Always"))):
        await node.told.until(lambda: engine.pulls)
    assert engine.pulls == 0


@virtual_time
async def test_the_next_worker_goes_on_from_the_record(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED):
        await node.told.until(lambda: node.engine.calls("signal"))
        await node.clock.sleep(5)
    later = await LivingNode.on(tmp_path, node.engine)
    saved = await asyncio.to_thread(later.checkpoint.load, SEED.uid)
    assert saved is not None
    async with later.at_work() as dispatcher:
        dispatcher.sync(SEED, saved.record)
        await later.told.until_phase("Succeeded")
    assert after_start(later, "sidecar") == (0, 40)
    assert [(c.detail, (c.at - T0).total_seconds()) for c in node.engine.calls("signal")] == [("", 10), ("KILL", 40)]


@virtual_time
async def test_probes_wake_the_worker(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    probe = {"exec": {"command": ["ready?"]}, "periodSeconds": 5, "initialDelaySeconds": 5, "failureThreshold": 1}
    node.engine.program("app", Program(commands={"ready?": Command(code=1, output=b"not yet")}))
    p = pod(container("app", readinessProbe=probe))
    async with node.working(p) as worker:
        await node.told.until(lambda: ("Unhealthy", "Readiness probe failed: not yet") in node.told.said)
        assert node.clock.monotonic() == 5
        assert node.told.status["containerStatuses"][0]["ready"] is False
        (app,) = node.engine.named("app")
        app.program = Program()
        await node.told.until(lambda: node.told.status["containerStatuses"][0]["ready"])
        assert node.clock.monotonic() == 10
        assert worker.story[-1].causes == ("probe",)


@virtual_time
async def test_a_startup_probe_holds_the_app_back(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    probe = {"exec": {"command": ["up?"]}, "initialDelaySeconds": 7}
    p = pod(container("app"), inits=(native("side", startupProbe=probe),))
    async with node.working(p):
        await node.told.until_phase("Running")
    (app,) = node.engine.named("app")
    assert app.started_at is not None
    assert (app.started_at - T0).total_seconds() == 7


@virtual_time
async def test_a_liveness_probe_restarts_one_container(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    probe = {"exec": {"command": ["alive?"]}, "periodSeconds": 5, "failureThreshold": 2}
    sick = {"alive?": Command(code=1)}
    node.engine.program("side", msgspec.structs.replace(on_term(143), commands=sick), Program())
    p = pod(container("app"), inits=(native("side", livenessProbe=probe),))
    async with node.working(p):
        await node.told.until(lambda: len(node.engine.named("side")) == 2)
        await node.clock.sleep(60)
    assert [c.attempt for c in node.engine.named("side") if c.running] == [1]
    assert [c.runs for c in node.engine.named("app")] == [1]
    assert ("Killing", "Init container side failed liveness probe") in node.told.said


@virtual_time
async def test_the_newest_pod_counts(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    node.engine.program("app", on_term(0, after=3))
    async with node.working(ALONE) as worker:
        await node.told.until_phase("Running")
        worker.update(deleted(ALONE, grace=30))
        worker.update(deleted(ALONE, grace=2))
        await node.told.until(lambda: node.told.gone_pods)
        assert node.clock.monotonic() == 2


@virtual_time
async def test_the_newest_pod_is_written_down(tmp_path: Path):
    node = await LivingNode.on(tmp_path)
    async with node.working(ALONE) as worker:
        await node.told.until_phase("Running")
        raw = ALONE.raw | {"metadata": ALONE.raw["metadata"] | {"annotations": {"a": "b"}}}
        worker.update(decode_pod(raw))
        await node.clock.sleep(1)
        saved = await asyncio.to_thread(node.checkpoint.load, ALONE.uid)
        assert saved is not None
        assert saved.pod == raw


@virtual_time
async def test_the_story_is_bounded_and_tells_why(tmp_path: Path):
    node = await seed_node(tmp_path)
    async with node.working(SEED) as worker:
        await node.told.until_phase("Succeeded")
        told = {cause for chapter in worker.story for cause in chapter.causes}
        assert {"start", "relist", "engine", "timer", "PullImage", "StartContainer"} <= told
        assert ("SignalContainer sidecar",) in [chapter.actions for chapter in worker.story]
        for _ in range(2 * STORY_LENGTH):
            worker.poke("nothing")
            await node.clock.sleep(1)
        assert len(worker.story) == STORY_LENGTH
