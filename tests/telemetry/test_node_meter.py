"""What a node counts while its pods live, on a fake engine in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from tests.core.given import container, deleted, native, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import KILLED, Program, ends, ignores_term, on_term
from tests.fakes.usages import SYSTEM
from tests.fakes.virtual_time import virtual_time
from tests.node.seed import SEED, seed_node
from tests.node.virtual_clock import VirtualClock
from tests.telemetry.scraped import Scraped
from vkprovider.core.view import Eviction
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable, ImagePullError
from vkprovider.model.engine import EngineInfo
from vkprovider.model.pod import Pod
from vkprovider.node.pod_worker import PodWorker
from vkprovider.node.watchers import Watchers
from vkprovider.ports import ContainerEngine
from vkprovider.telemetry.engine_calls import OPERATIONS, OUTCOMES
from vkprovider.telemetry.node_meter import NodeMeter


class HangingEngine(LivingEngine):
    """It never says what it is."""

    async def info(self) -> EngineInfo:
        return await asyncio.get_running_loop().create_future()


class Metered:
    """A node and its meter."""

    def __init__(self, node: LivingNode) -> None:
        self.node = node
        self.meter = NodeMeter(node.clock)

    @asynccontextmanager
    async def working(self, of: Pod) -> AsyncIterator[PodWorker]:
        watcher = Watchers(self.meter.pods, self.node.told)
        engine = self.meter.of(self.node.engine)
        async with self.node.working(of, engine=engine, watcher=watcher, stopwatch=self.meter.steps) as worker:
            yield worker

    @property
    def scraped(self) -> Scraped:
        return Scraped(self.meter)


@virtual_time
async def test_a_job_with_a_sidecar_that_has_to_be_killed(tmp_path: Path):
    metered = Metered(await seed_node(tmp_path))
    async with metered.working(SEED) as worker:
        await metered.node.told.until_phase("Running")
        assert metered.scraped("vkprovider_containers_running", kind="marked") == 1
        await metered.node.told.until_phase("Succeeded")
        scraped = metered.scraped
        for kind in ("app", "marked"):
            assert scraped("vkprovider_container_starts_total", kind=kind) == 1
            assert scraped("vkprovider_container_restarts_total", kind=kind) == 0
            assert scraped("vkprovider_containers_running", kind=kind) == 0
        assert scraped("vkprovider_container_exits_total", kind="app", reason="Completed") == 1
        assert scraped("vkprovider_container_exits_total", kind="marked", reason="Error") == 1
        assert scraped("vkprovider_forgiven_exits_total", kind="marked") == 1
        assert scraped("vkprovider_container_kills_total", kind="marked") == 1
        assert scraped("vkprovider_container_stop_duration_seconds_sum", kind="marked") == 30
        assert scraped("vkprovider_container_stop_duration_seconds_count", kind="app") == 0
        assert scraped("kubelet_started_pods_total") == 1
        assert scraped("kubelet_started_containers_total", container_type="container") == 2
        assert scraped("kubelet_pod_start_duration_seconds_count") == 1
        worker.update(deleted(SEED))
        await metered.node.told.until(lambda: metered.node.told.gone_pods)
    assert metered.scraped("vkprovider_forgiven_exits_total", kind="marked") == 1


@virtual_time
async def test_a_sidecar_that_ends_in_time_is_not_killed(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.program("app", ends(0, after=1))
    metered.node.engine.program("proxy", on_term(3, after=2))
    async with metered.working(pod(container("app"), inits=(native("proxy"),))):
        await metered.node.told.until_phase("Succeeded")
    scraped = metered.scraped
    assert scraped("vkprovider_container_kills_total", kind="native") == 0
    assert scraped("vkprovider_container_stop_duration_seconds_sum", kind="native") == 2
    assert scraped("vkprovider_forgiven_exits_total", kind="native") == 1
    assert scraped("kubelet_started_containers_total", container_type="init_container") == 1


@virtual_time
async def test_restarts_and_ends_by_reason(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.program("app", ends(1), Program(oom=True, runs=1, code=KILLED), ends(0, after=1))
    async with metered.working(pod(container("app"), policy="OnFailure")):
        await metered.node.told.until_phase("Succeeded")
    scraped = metered.scraped
    reasons = ("Error", "OOMKilled", "Completed")
    assert [scraped("vkprovider_container_exits_total", kind="app", reason=each) for each in reasons] == [1, 1, 1]
    assert scraped("vkprovider_container_starts_total", kind="app") == 3
    assert scraped("vkprovider_container_restarts_total", kind="app") == 2
    assert scraped("vkprovider_forgiven_exits_total", kind="app") == 0


@virtual_time
async def test_what_another_process_saw_is_not_counted_again(tmp_path: Path):
    before = Metered(await LivingNode.on(tmp_path))
    before.node.engine.program("app", ends(0, after=10))
    before.node.engine.program("early", ends(1, after=1))
    spec = pod(container("app"), container("early"))
    async with before.working(spec):
        await before.node.told.until(
            lambda: before.scraped("vkprovider_container_exits_total", kind="app", reason="Error")
        )
    after = Metered(await LivingNode.on(tmp_path, before.node.engine))
    records = await asyncio.to_thread(after.node.checkpoint.load_all)
    async with after.node.at_work(watcher=Watchers(after.meter.pods, after.node.told)) as dispatcher:
        dispatcher.sync(spec, records[spec.uid].record)
        await after.node.told.until_phase("Failed")
    assert after.scraped("vkprovider_container_exits_total", kind="app", reason="Error") is None
    assert after.scraped("vkprovider_container_exits_total", kind="app", reason="Completed") == 1
    assert after.scraped("kubelet_pod_start_duration_seconds_count") == 0


@virtual_time
async def test_the_engines_calls_and_those_that_fail(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.program("app", ends(0, after=40))
    metered.node.engine.fail("start", EngineError("no"))
    async with metered.working(pod(container("app"))):
        await metered.node.told.until_phase("Succeeded")
    scraped = metered.scraped
    assert scraped("kubelet_runtime_operations_errors_total", operation_type="start_container") == 1
    assert scraped("kubelet_runtime_operations_errors_total", operation_type="create_container") == 0
    total = scraped("kubelet_runtime_operations_total", operation_type="start_container")
    assert total == scraped("kubelet_runtime_operations_duration_seconds_count", operation_type="start_container") == 3
    calls = {each: scraped("vkprovider_engine_calls_total", call="start_container", outcome=each) for each in OUTCOMES}
    assert calls == dict.fromkeys(OUTCOMES, 0) | {"ok": 2, "failed": 1}
    assert scraped("vkprovider_engine_calls_in_flight", call="start_container") == 0
    assert scraped("kubelet_started_pods_errors_total") == 1
    assert scraped("vkprovider_action_failures_total", action="CreateSandbox") == 1
    assert scraped("vkprovider_action_duration_seconds_count", action="StartContainer") == 1
    relists = scraped("kubelet_runtime_operations_total", operation_type="list_podsandbox")
    assert scraped("kubelet_pleg_relist_duration_seconds_count") == relists == 1
    kinds = ("create", "update", "sync")
    counts = [scraped("kubelet_pod_worker_duration_seconds_count", operation_type=kind) for kind in kinds]
    assert counts[:2] == [1, 0]
    assert counts[2]
    results = {each: scraped("vkprovider_reconciles_total", result=each) for each in ("acted", "idle", "failed")}
    assert results["failed"] == 0
    assert results["acted"]
    assert sum(results.values()) == sum(counts) == scraped("vkprovider_reconcile_delay_seconds_count")
    assert scraped("vkprovider_reconcile_causes_total", cause="start") == 1
    assert scraped("vkprovider_reconcile_causes_total", cause="CreateSandbox") == 2


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EngineNotFound("no such container"), "not_found"),
        (EngineConflict("it runs"), "conflict"),
        (EngineUnavailable("no answer"), "unavailable"),
        (ImagePullError("denied"), "failed"),
    ],
)
@virtual_time
async def test_what_came_of_a_call(tmp_path: Path, error: EngineError, outcome: str):
    metered = Metered(await LivingNode.on(tmp_path))
    engine = metered.meter.of(metered.node.engine)
    metered.node.engine.fail("info", error)
    with pytest.raises(EngineError):
        await engine.info()
    assert metered.scraped("vkprovider_engine_calls_total", call="status", outcome=outcome) == 1
    assert metered.scraped("kubelet_runtime_operations_errors_total", operation_type="status") == 1


def test_every_call_is_counted_but_those_that_last_as_long_as_a_container_or_ask_nobody():
    calls = {name for name, method in vars(ContainerEngine).items() if iscoroutinefunction(method)}
    assert calls - OPERATIONS.keys() == {"copy_log", "forget", "close"}


@virtual_time
async def test_calls_in_flight_and_those_that_are_given_up(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path, HangingEngine()))
    asking = asyncio.create_task(metered.meter.of(metered.node.engine).info())
    await asyncio.sleep(1)
    assert metered.scraped("vkprovider_engine_calls_in_flight", call="status") == 1
    asking.cancel()
    await asyncio.wait((asking,))
    assert metered.scraped("vkprovider_engine_calls_in_flight", call="status") == 0
    assert metered.scraped("vkprovider_engine_calls_total", call="status", outcome="cancelled") == 1
    assert metered.scraped("kubelet_runtime_operations_errors_total", operation_type="status") == 0


@virtual_time
async def test_looks_without_an_answer_and_those_that_are_late(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.fail("observe", EngineUnavailable("no answer"))
    async with metered.working(pod(container("app"))):
        await metered.node.told.until_phase("Running")
    assert metered.scraped("vkprovider_reconciles_total", result="failed") == 1
    metered.meter.steps.looked(("engine", "probe"), None, 3.0, 0.1)
    assert metered.scraped("vkprovider_reconcile_causes_total", cause="probe") == 1
    assert metered.scraped("vkprovider_reconcile_delay_seconds_sum") == 3


@virtual_time
async def test_the_engines_changes_are_passed_on_and_timed(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.program("app", ignores_term())
    async with metered.working(pod(container("app"))):
        await metered.node.told.until_phase("Running")
        seen = metered.scraped("kubelet_pleg_last_seen_seconds")
        for _ in range(2):
            await asyncio.sleep(20)
            looks = len(metered.node.told.looks)
            metered.node.engine.relist()
            await metered.node.told.until(lambda looks=looks: len(metered.node.told.looks) > looks)
        assert metered.scraped("kubelet_pleg_relist_interval_seconds_sum") >= 20
        now = metered.scraped("kubelet_pleg_last_seen_seconds")
        assert seen is not None
        assert now is not None
        assert now - seen >= 20


@virtual_time
async def test_an_image_that_is_not_there(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    async with metered.working(pod(container("app", image="other:1", imagePullPolicy="Never"))):
        await metered.node.told.until(lambda: metered.node.told.events)
    failed = {"container_type": "container", "code": "ErrImageNeverPull"}
    assert metered.scraped("kubelet_started_containers_errors_total", **failed) == 1
    assert metered.scraped("vkprovider_container_starts_total", kind="app") == 0


@virtual_time
async def test_evictions_by_what_had_run_out_and_a_shutdown_is_none(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    async with metered.working(pod(container("app"))) as worker:
        await metered.node.told.until_phase("Running")
        worker.evict(Eviction(reason="Evicted", message="too large", grace_seconds=1, signal="emptydirfs.limit"))
        await metered.node.told.until_phase("Failed")
    assert metered.scraped("kubelet_evictions", eviction_signal="emptydirfs.limit") == 1
    other = Metered(await LivingNode.on(tmp_path / "other"))
    async with other.working(pod(container("app"))) as worker:
        await other.node.told.until_phase("Running")
        worker.evict(Eviction(reason="Terminated", message="it goes"))
        await other.node.told.until_phase("Failed")
    assert not [name for name, _ in other.scraped.samples if name == "kubelet_evictions"]


@virtual_time
async def test_volumes_until_the_pod_is_over(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    metered.node.engine.program("app", ends(0, after=5))
    spec = pod(container("app"), volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/"}}])
    async with metered.working(spec):
        await metered.node.told.until_phase("Running")
        for plugin in ("kubernetes.io/empty-dir", "kubernetes.io/host-path"):
            for state in ("desired_state_of_world", "actual_state_of_world"):
                assert metered.scraped("volume_manager_total_volumes", plugin_name=plugin, state=state) == 1
        made = {"volume_plugin": "vkprovider", "operation_name": "volumes_prepare", "status": "success"}
        assert metered.scraped("storage_operation_duration_seconds_count", migrated="false", **made) == 1
        await metered.node.told.until_phase("Succeeded")
        assert not [name for name, _ in metered.scraped.samples if name == "volume_manager_total_volumes"]


@virtual_time
async def test_streams_while_they_are_open(tmp_path: Path):
    metered = Metered(await LivingNode.on(tmp_path))
    engine = metered.meter.of(metered.node.engine)
    async with metered.working(pod(container("app"))):
        await metered.node.told.until_phase("Running")
        (app,) = metered.node.engine.named("app")
        lines = engine.logs(app.id, follow=True)
        following = asyncio.create_task(anext(aiter(lines), None))
        await asyncio.sleep(1)
        assert metered.scraped("vkprovider_streams", kind="logs") == 1
        following.cancel()
        await asyncio.wait((following,))
        assert metered.scraped("vkprovider_streams", kind="logs") == 0
        assert metered.scraped("vkprovider_streams_total", kind="logs") == 1
        assert engine.node == metered.node.engine.node


def test_certificates_and_claims_as_they_are_now():
    clock = VirtualClock()
    meter = NodeMeter(clock)
    assert Scraped(meter)("kubelet_certificate_manager_client_ttl_seconds") is None
    ends: list[datetime] = []
    meter.certificates.follow_client(lambda: ends[-1] if ends else None, lambda: 3)
    meter.certificates.follow_server(lambda: clock.now() + timedelta(days=2), lambda: 0)
    assert Scraped(meter)("kubelet_certificate_manager_client_ttl_seconds") is None
    ends.append(clock.now() - timedelta(seconds=5))
    meter.show_claims({("default", "db"): SYSTEM})
    scraped = Scraped(meter)
    assert scraped("kubelet_certificate_manager_client_ttl_seconds") == -5
    assert scraped("kubelet_certificate_manager_client_expiration_renew_errors") == 3
    assert scraped("kubelet_certificate_manager_server_ttl_seconds") == 2 * 24 * 60 * 60
    assert scraped("kubelet_server_expiration_renew_errors") == 0
    claim = {"namespace": "default", "persistentvolumeclaim": "db"}
    assert scraped("kubelet_volume_stats_capacity_bytes", **claim) == SYSTEM.capacity
    assert scraped("kubelet_volume_stats_inodes_used", **claim) == SYSTEM.inodes_used
    meter.show_claims({})
    assert Scraped(meter)("kubelet_volume_stats_capacity_bytes", **claim) is None


def test_requests_by_code_and_how_long_they_took():
    meter = NodeMeter(VirtualClock())
    meter.requests.answered("GET", "host:443", "200", 0.3)
    meter.requests.answered("GET", "host:443", "<error>", 5)
    scraped = Scraped(meter)
    for code in ("200", "<error>"):
        assert scraped("rest_client_requests_total", code=code, method="GET", host="host:443") == 1
    assert scraped("rest_client_request_duration_seconds_sum", verb="GET", host="host:443") == 5.3
