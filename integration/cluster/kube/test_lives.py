"""Whole lives of pods, as the API and its users see them."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from integration.cluster.clients import Cluster
from integration.cluster.controlplane import ControlPlane
from tests.fakes.living_engine import LivingEngine
from tests.fakes.programs import ends, ignores_term, on_term
from vkprovider.errors import ApiGone
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import PODS
from vkprovider.node.clock import SystemClock

from .joined import (
    MARK,
    PATIENCE,
    Watch,
    container,
    eventually,
    joined,
    manifest,
    missing,
    nothing_left,
    nothing_runs,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


async def test_a_marked_sidecar_that_fails_twice_runs_again_each_time(
    api: ApiClient, cluster: Cluster, namespace: str, node: str, watch: Watch, tmp_path: Path
) -> None:
    engine = LivingEngine(node)
    engine.program("app", ends(0, after=8))
    engine.program("side", ends(1, after=1), ends(1, after=1), on_term(0))
    pod = manifest("p", node, container("app"), container("side", env=[MARK]))
    async with joined(api, node, tmp_path, engine) as recorder:
        await api.create(PODS.at(namespace), pod)
        await watch.until_phase("p", "Succeeded")
        await asyncio.wait_for(recorder.flush(), PATIENCE)
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
        with pytest.raises(ApiGone):  # a server that has just started knows nothing of what was before
            async with aclosing(api.watch(PODS.at(), {"resourceVersion": "1"}, PATIENCE)) as events:
                await anext(events)
        async with joined(api, node, tmp_path, engine):
            await eventually(lambda: phase("Succeeded"))
        await api.delete(place)
    finally:
        if control_plane.servers["kube-apiserver"].pid is None:
            await asyncio.to_thread(control_plane.start_apiserver)
        await api.aclose()
