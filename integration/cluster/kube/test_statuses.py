"""Every status that we may write is one that the API server takes, and makes what we expect of."""

import asyncio
from itertools import zip_longest
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.cluster.clients import Cluster
from tests.fakes.programs import Program, ends, ignores_term, on_term
from tests.kube.quick_clock import QuickClock
from tests.kube.test_status_merge import NOW, SPECS, TYPES, conditions, statuses, unordered
from tests.property.world import World
from vkprovider.kube.client import ApiClient, Json
from vkprovider.kube.pods.status_merge import merge, owned, pruned
from vkprovider.kube.pods.status_writer import StatusWriter
from vkprovider.kube.resources import PODS
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.node.clock import SystemClock

from .joined import MARK, PATIENCE, container, manifest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

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
@given(
    st.lists(statuses(TYPES[2:]), min_size=1, max_size=4),
    st.lists(conditions(["Foreign", "Another"]), max_size=2),
    SPECS,
)
def test_what_the_api_server_makes_of_a_patch_is_the_merged_status(
    cluster: Cluster, namespace: str, node: str, ours: list[Json], foreign: list[list[Json]], spec: Json
) -> None:
    async def with_client() -> None:
        api = ApiClient(SystemClock(), str(cluster.kubeconfig))
        try:
            sections = {key: [each | {"image": "x"} for each in spec[key]] for key in ("containers", "initContainers")}
            pod = manifest(f"p-{uuid4().hex[:8]}", node, restartPolicy=spec["restartPolicy"], **sections)
            await write_all(api, await api.create(PODS.at(namespace), pod), ours, foreign)
        finally:
            await api.aclose()

    asyncio.run(with_client())


async def write_all(api: ApiClient, raw: Json, ours: list[Json], foreign: list[list[Json]]) -> None:
    """Each status after the other, with others writing conditions of their own in between."""
    writer = StatusWriter(api, QuickClock())
    place = PODS.at(raw["metadata"]["namespace"], raw["metadata"]["name"], "status")
    for others, status in zip_longest(foreign, ours):
        if others is not None:
            raw = await api.patch(place, {"status": {"conditions": others}})
        if status is not None:
            wanted = merge(raw, status, NOW).status
            writer.publish(decode_pod(raw), status)
            await asyncio.wait_for(writer.flush(), PATIENCE)
            raw = await api.get(place)
            if "observedGeneration" not in raw["status"]:  # API servers before 1.33 do not know it
                wanted.pop("observedGeneration", None)
            assert unordered({key: raw["status"].get(key) for key in wanted}) == unordered(wanted)
