"""The cluster adapters on a real API server: what they write it takes, and what it says they understand.

The node behind them is the real one on a fake engine, so that no Docker is needed and seconds are enough.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import Program, ends, ignores_term, on_term
from tests.kube.quick_clock import QuickClock
from tests.kube.test_status_merge import SPECS, TYPES, conditions, statuses, unordered
from tests.property.world import World
from vkprovider.core.actions import PodEvent
from vkprovider.core.view import CoreSettings
from vkprovider.errors import ApiForbidden, ApiNotFound, ApiUnauthorized
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.event_recorder import EventRecorder
from vkprovider.kube.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.objects import KubeObjects
from vkprovider.kube.pod_source import PodSource
from vkprovider.kube.reflector import Changed, Reflector, Replaced, Update
from vkprovider.kube.resources import EVENTS, PODS, SECRETS
from vkprovider.kube.status_merge import merge, owned, pruned
from vkprovider.kube.status_writer import StatusWriter
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.node.clock import SystemClock

from .clients import Cluster
from .controlplane import ControlPlane

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

PATIENCE = 30  # seconds for what should take one or two
MARK = {"name": "__IS_SIDECAR__", "value": "true"}
NOW = "2026-01-01T12:00:00Z"


def container(name: str, **fields: Any) -> Json:
    return {"name": name, "image": "busybox:1.28", **fields}


def manifest(name: str, node: str, *containers: Json, **spec: Any) -> Json:
    body = {"nodeName": node, "restartPolicy": "Never", "automountServiceAccountToken": False, "tolerations": []}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "finalizers": spec.pop("finalizers", [])},
        "spec": body | {"containers": list(containers)} | spec,
    }


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """A Node, so that nobody collects the pods that are bound to it."""
    name = f"test-{uuid4().hex[:8]}"
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node"} | named(name)))
    yield name
    cluster.kubectl("delete", "node", name)


def named(name: str) -> Json:
    return {"metadata": {"name": name}}


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[ApiClient]:
    api = ApiClient(SystemClock(), str(cluster.kubeconfig))
    yield api
    await api.aclose()


class Watch:
    """All that the API shows of the pods of a namespace, from now on."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self._more = asyncio.Event()

    async def follow(self, api: ApiClient, namespace: str) -> None:
        async for update in Reflector(api, PODS.at(namespace), SystemClock()).updates():
            self.updates.append(update)
            self._more.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._more.clear()
                await self._more.wait()

    def shown(self, name: str) -> list[Json]:
        """The statuses of a pod, in order."""
        objects = [update.object for update in self.updates if isinstance(update, Changed)]
        return [raw["status"] for raw in objects if raw["metadata"]["name"] == name]

    def phases(self, name: str) -> list[str]:
        return list(dict.fromkeys(status["phase"] for status in self.shown(name)))

    async def until_phase(self, name: str, phase: str) -> None:
        await self.until(lambda: phase in self.phases(name))


@asynccontextmanager
async def running(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def joined(api: ApiClient, node: str, folder: Path, engine: LivingEngine) -> AsyncIterator[StatusWriter]:
    """A node's process, from its start to its end; the pods stay."""
    living, clock = await LivingNode.on(folder, engine), SystemClock()
    lasting = LastingCheckpoint(living.checkpoint)
    writer, recorder = StatusWriter(api, clock, lasting.forget), EventRecorder(api, clock, node)
    quick = CoreSettings(node_name=node, backoff_first=1)
    async with living.at_work(statuses=writer, events=recorder, checkpoint=lasting, settings=quick) as dispatcher:
        left = await asyncio.to_thread(living.checkpoint.load_all)
        source = PodSource(dispatcher, writer, recorder, living.clock, left=left)
        reflector = Reflector(api, PODS.at(), clock, selectors={"fieldSelector": f"spec.nodeName={node}"})
        async with running(writer.run(), recorder.run(), source.run(reflector.updates())):
            await asyncio.wait_for(source.listed.wait(), PATIENCE)
            yield writer
            async with asyncio.timeout(PATIENCE):
                await recorder.flush()
    await writer.aclose()


@pytest.fixture
async def watch(api: ApiClient, namespace: str) -> AsyncIterator[Watch]:
    watch = Watch()
    async with running(watch.follow(api, namespace)):
        await watch.until(lambda: watch.updates)
        yield watch


async def missing(api: ApiClient, namespace: str, name: str) -> bool:
    try:
        await api.get(PODS.at(namespace, name))
    except ApiNotFound:
        return True
    return False


async def eventually(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.05)  # noqa: ASYNC110  nobody tells when


# --- whole lives ----------------------------------------------------------------------------------------------


async def test_a_marked_sidecar_that_fails_twice_runs_again_each_time(
    api: ApiClient, cluster: Cluster, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", ends(0, after=8))
    engine.program("side", ends(1, after=1), ends(1, after=1), on_term(0))
    pod = manifest("p", node, container("app"), container("side", env=[MARK]))
    async with joined(api, node, tmp_path, engine):
        await api.create(PODS.at(namespace), pod)
        await watch.until_phase("p", "Succeeded")
    sides = [c for s in watch.shown("p") for c in s.get("containerStatuses", ()) if c["name"] == "side"]
    seen = list(dict.fromkeys((next(iter(c["state"])), c["restartCount"]) for c in sides))
    assert [s for s in seen if s[0] == "running"] == [("running", 0), ("running", 1), ("running", 2)]
    assert seen[-1] == ("terminated", 2)
    assert {s["phase"] for s in watch.shown("p") if s["phase"] != "Pending"} == {"Running", "Succeeded"}
    described = await asyncio.to_thread(cluster.kubectl, "describe", "pod", "p", f"--namespace={namespace}")
    reasons = [line.split()[1] for line in described.splitlines() if "  kubelet  " in line]
    assert reasons[:3] == ["Pulled", "Created", "Started"]
    assert reasons[-1] == "Killing"
    assert "from spec" not in described


async def test_a_deleted_pod_ends_with_its_status_before_its_object_goes(
    api: ApiClient, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", on_term(3, after=1))
    async with joined(api, node, tmp_path, engine):
        await api.create(PODS.at(namespace), manifest("p", node, container("app")))
        await watch.until_phase("p", "Running")
        await api.delete(PODS.at(namespace, "p"))
        await eventually(lambda: missing(api, namespace, "p"))
        await eventually(lambda: nothing_left(engine, tmp_path))
    last = watch.shown("p")[-1]
    assert last["phase"] == "Failed"
    assert last["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def nothing_left(engine: LivingEngine, folder: Path) -> bool:
    records = await asyncio.to_thread(lambda: list((folder / "records").glob("*.json")))
    return not engine.containers and not records


async def test_with_a_finalizer_the_object_stays_with_its_last_status(
    api: ApiClient, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", on_term(0))
    place = PODS.at(namespace, "p")
    async with joined(api, node, tmp_path, engine):
        await api.create(PODS.at(namespace), manifest("p", node, container("app"), finalizers=["example.com/x"]))
        await watch.until_phase("p", "Running")
        await api.delete(place)
        await watch.until_phase("p", "Succeeded")
        await eventually(lambda: nothing_left(engine, tmp_path))
        assert (await api.get(place))["status"]["phase"] == "Succeeded"
    async with joined(api, node, tmp_path, engine):  # the next process has nothing to remember it by
        await api.patch(place, {"metadata": {"labels": {"a": "b"}}})
        assert (await api.get(place))["status"]["phase"] == "Succeeded"
        await api.patch(place, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/x"]}})
        await eventually(lambda: missing(api, namespace, "p"))
    assert engine.containers == {}


async def test_a_forced_deletion_gives_the_containers_two_seconds(
    api: ApiClient, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", ignores_term())
    async with joined(api, node, tmp_path, engine):
        await api.create(PODS.at(namespace), manifest("p", node, container("app")))
        await watch.until_phase("p", "Running")
        await api.delete(PODS.at(namespace, "p"), {"gracePeriodSeconds": 0})
        assert await missing(api, namespace, "p")
        await eventually(lambda: nothing_left(engine, tmp_path))
    signals = [call.detail for call in engine.journal if call.verb == "signal"]
    assert signals[-1] == "KILL"
    assert len(signals) > 1


async def test_the_same_name_again_at_once_is_another_pod(
    api: ApiClient, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", on_term(0, after=1))
    async with joined(api, node, tmp_path, engine):
        first = await api.create(PODS.at(namespace), manifest("p", node, container("app")))
        await watch.until_phase("p", "Running")
        await api.delete(PODS.at(namespace, "p"), {"gracePeriodSeconds": 0})
        second = await api.create(PODS.at(namespace), manifest("p", node, container("app")))
        assert first["metadata"]["uid"] != second["metadata"]["uid"]

        async def runs() -> bool:
            shown = await api.get(PODS.at(namespace, "p"))
            return bool(shown["status"]["phase"] == "Running")

        await eventually(runs)
        assert (await api.get(PODS.at(namespace, "p")))["metadata"]["uid"] == second["metadata"]["uid"]


async def test_pods_go_on_through_an_outage_and_a_restart(
    control_plane: ControlPlane, node: str, tmp_path: Path
) -> None:
    """On the session's own control plane, whose API server may be stopped."""
    engine = LivingEngine(node)
    engine.program("app", ends(0, after=3))
    api = ApiClient(SystemClock(), str(control_plane.kubeconfig))
    place = PODS.at("default", f"p-{node}")
    try:
        async with joined(api, node, tmp_path, engine):
            await api.create(PODS.at("default"), manifest(place.name, node, container("app")))

            async def phase(wanted: str) -> bool:
                return bool((await api.get(place))["status"]["phase"] == wanted)

            await eventually(lambda: phase("Running"))
            await asyncio.to_thread(control_plane.stop_apiserver)
        await eventually(lambda: nothing_runs(engine))
        await asyncio.to_thread(control_plane.start_apiserver)
        async with joined(api, node, tmp_path, engine):
            await eventually(lambda: phase("Succeeded"))
        await api.delete(place)
    finally:
        if control_plane.servers["kube-apiserver"].pid is None:
            await asyncio.to_thread(control_plane.start_apiserver)
        await api.aclose()


async def nothing_runs(engine: LivingEngine) -> bool:
    return not any(c.running for c in engine.containers.values() if not c.is_sandbox)


# --- statuses -------------------------------------------------------------------------------------------------

STORIES: dict[str, tuple[list[Json], list[Json], dict[str, tuple[Program, ...]]]] = {
    "the seed's Job": (
        [container("app"), container("sidecar", env=[MARK])],
        [],
        {"app": (ends(0, after=10),), "sidecar": (ignores_term(),)},
    ),
    "a marked sidecar fails twice": (
        [container("app"), container("side", env=[MARK])],
        [],
        {"app": (ends(0, after=60),), "side": (ends(1, after=2), ends(1, after=2), on_term(0))},
    ),
    "native sidecars trap TERM": (
        [container("app")],
        [container("first", restartPolicy="Always"), container("second", restartPolicy="Always")],
        {"app": (ends(0, after=5),), "first": (on_term(0, after=3),), "second": (ends(2, after=3), on_term(1))},
    ),
    "an init container fails": ([container("app")], [container("init")], {"init": (ends(1, after=2),)}),
    "init and app succeed": (
        [container("app")],
        [container("init")],
        {"init": (ends(0, after=2),), "app": (ends(0, after=5),)},
    ),
    "an app fails beside one that runs": (
        [container("one"), container("two")],
        [],
        {"one": (ends(1, after=2),), "two": (ends(0, after=9),)},
    ),
}


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
@pytest.mark.parametrize("story", STORIES)
async def test_every_status_of_a_story_is_taken(
    api: ApiClient, namespace: str, node: str, story: str, policy: str
) -> None:
    containers, inits, programs = STORIES[story]
    pod = manifest("p", node, *containers, initContainers=inits, restartPolicy=policy)
    raw = await api.create(PODS.at(namespace), pod)
    writer = StatusWriter(api, SystemClock())
    for status in told(decode_pod(raw), programs):
        writer.publish(decode_pod(raw), status)
        async with asyncio.timeout(PATIENCE):
            await writer.flush()
        shown = (await api.get(PODS.at(namespace, "p")))["status"]
        for field in ("phase", "containerStatuses", "initContainerStatuses"):
            assert pruned(shown.get(field)) == pruned(status.get(field))
        assert owned(shown, status) == owned(merge({"status": shown}, status, NOW).status, status)


def told(pod: Pod, programs: dict[str, tuple[Program, ...]]) -> list[Json]:
    """The different statuses of a pod over two minutes, in order."""
    world, statuses = World(pod), list[Json]()
    for name, attempts in programs.items():
        world.engine.program(name, *attempts)
    for second in range(120):
        status = world.run_until(second).status
        if not statuses or statuses[-1] != status:
            statuses.append(status)
    return statuses


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(statuses(TYPES[2:]), min_size=1, max_size=4), st.lists(conditions(TYPES[:2]), max_size=2), SPECS)
def test_what_the_api_server_makes_of_a_patch_is_the_merged_status(
    cluster: Cluster, namespace: str, ours: list[Json], foreign: list[list[Json]], spec: Json
) -> None:
    asyncio.run(write_all(str(cluster.kubeconfig), namespace, ours, foreign, spec))


async def write_all(kubeconfig: str, namespace: str, ours: list[Json], foreign: list[list[Json]], spec: Json) -> None:
    """Each status after the other, with others writing conditions of their own in between."""
    api = ApiClient(SystemClock(), kubeconfig)
    writer = StatusWriter(api, QuickClock())
    sections = {key: [each | {"image": "x"} for each in spec[key]] for key in ("containers", "initContainers")}
    pod = manifest(f"p-{uuid4().hex[:8]}", "nowhere", restartPolicy=spec["restartPolicy"], **sections)
    raw = await api.create(PODS.at(namespace), pod)
    place = PODS.at(namespace, pod["metadata"]["name"], "status")
    for others, status in zip_longest(foreign, ours):
        if others is not None:
            raw = await api.patch(place, {"status": {"conditions": others}})
        if status is not None:
            wanted = merge(raw, status, NOW).status
            writer.publish(decode_pod(raw), status)
            await asyncio.wait_for(writer.flush(), PATIENCE)
            raw = await api.get(place)
            assert unordered({key: raw["status"].get(key) for key in wanted}) == unordered(wanted)
    await api.aclose()


# --- what else is asked of it ---------------------------------------------------------------------------------


async def test_objects_are_found_or_not(api: ApiClient, namespace: str) -> None:
    objects = KubeObjects(api)
    assert await objects.get(ObjectRef("Secret", namespace, "s")) is None
    await api.create(SECRETS.at(namespace), {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    found = await objects.get(ObjectRef("Secret", namespace, "s"))
    assert found is not None
    assert found["data"] == {"a": "Yg=="}


async def test_the_same_event_is_one_event_with_a_count(api: ApiClient, namespace: str, node: str) -> None:
    pod = decode_pod(await api.create(PODS.at(namespace), manifest("p", node, container("app"))))
    clock = SystemClock()
    recorder = EventRecorder(api, clock, node)
    for _ in range(3):
        recorder.record(pod, PodEvent(type="Warning", reason="Unhealthy", message="m", field_path="x"), clock.now())
    async with running(recorder.run()):
        await asyncio.wait_for(recorder.flush(), PATIENCE)
    found = (await api.list(EVENTS.at(namespace), {"fieldSelector": "reason=Unhealthy"}))["items"]
    assert [(event["count"], event["source"]["component"], event["source"]["host"]) for event in found] == [
        (3, "kubelet", node)
    ]


async def test_a_watch_that_is_too_old_lists_again(control_plane: ControlPlane, node: str) -> None:
    api = ApiClient(SystemClock(), str(control_plane.kubeconfig))
    reflector = Reflector(api, PODS.at("default"), SystemClock())
    reflector._version = "1"
    updates = reflector.updates()
    assert isinstance(await asyncio.wait_for(anext(updates), PATIENCE), Replaced)
    await updates.aclose()
    await api.aclose()


async def test_an_identity_that_may_not_is_told_what_it_lacks(control_plane: ControlPlane) -> None:
    api = ApiClient(SystemClock(), str(control_plane.identity("somebody")))
    with pytest.raises(ApiForbidden, match=r'^may not patch pods/status "p" in namespace default: grant it .*somebody'):
        await api.patch(PODS.at("default", "p", "status"), {})
    await api.aclose()


async def test_credentials_that_are_not_accepted_are_named(cluster: Cluster, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "expired"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    api = ApiClient(SystemClock(), str(tmp_path / "kubeconfig"))
    with pytest.raises(ApiUnauthorized, match="cannot list pods: the API server does not accept the credentials"):
        await api.list(PODS.at())
    await api.aclose()
