from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.engine.scripted_engine import ScriptedEngine, refusing, serving
from tests.engine.test_convert import LISTED
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.engine.endpoint import Endpoint
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model.labels import CONTAINER_TYPE, ContainerIdentity, encode
from vkprovider.model.observed import Run
from vkprovider.model.refs import ContainerID, PodUID

C = ContainerID("c" * 64)


async def test_the_version_is_asked_once_for_all_threads(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["GET /containers/json"] = []
    await asyncio.gather(*(engine.pods() for _ in range(40)))
    assert scripted.paths().count("/version") == 1
    assert scripted.paths().count("/containers/json") == 40


async def test_a_newer_engine_is_spoken_to_in_its_own_version(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["GET /version"] = {"ApiVersion": "1.52", "MinAPIVersion": "1.44", "Arch": "amd64"}
    spoken: list[str] = []

    async def listing(request: web.Request) -> web.Response:
        spoken.append(request.path)
        return web.json_response([])

    scripted.answers["GET /containers/json"] = listing
    await engine.pods()
    assert spoken == ["/v1.52/containers/json"]


@pytest.mark.parametrize(
    ("status", "kind"), [(404, EngineNotFound), (409, EngineConflict), (500, EngineError), (503, EngineUnavailable)]
)
async def test_refusals(engine: DockerEngine, scripted: ScriptedEngine, status: int, kind: type[EngineError]):
    scripted.answers[f"POST /containers/{C}/start"] = refusing(status, "because")
    with pytest.raises(kind, match="because") as raised:
        await engine.start(C)
    assert type(raised.value) is kind


@pytest.mark.usefixtures("failed_connects")
async def test_nobody_there(tmp_path: Path):
    engine = DockerEngine("node", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineUnavailable, match="No such file or directory"):
        await engine.pods()
    with pytest.raises(EngineUnavailable, match="No such file or directory"):
        _ = [line async for line in engine.logs(C)]
    await engine.close()


@pytest.mark.usefixtures("failed_connects")
async def test_an_engine_that_comes_back_is_used_again(tmp_path: Path):
    scripted = ScriptedEngine(tmp_path / "engine.sock")
    scripted.answers["GET /containers/json"] = []
    engine = DockerEngine("node", scripted.url, timeout=5)
    for _ in range(3):
        async with serving(scripted):
            assert await engine.pods() == {}
        with pytest.raises(EngineUnavailable):
            await engine.pods()
    await engine.close()


async def test_an_engine_that_hangs_up(engine: DockerEngine, scripted: ScriptedEngine):
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    scripted.answers["GET /containers/json"] = hang_up
    with pytest.raises(EngineUnavailable):
        await engine.pods()


async def test_an_engine_that_talks_nonsense(engine: DockerEngine, scripted: ScriptedEngine):
    async def nonsense(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="application/json")

    scripted.answers["GET /containers/json"] = nonsense
    with pytest.raises(EngineUnavailable):
        await engine.pods()


async def test_an_engine_that_does_not_answer(scripted: ScriptedEngine):
    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    scripted.answers["GET /containers/json"] = never
    engine = DockerEngine("node", scripted.url, timeout=0.1)
    with pytest.raises(EngineUnavailable, match="does not answer"):
        await engine.pods()
    await engine.close()


async def test_a_container_that_the_engine_hangs_on_is_unknown(scripted: ScriptedEngine):
    """Docker has a lock for each container: one that is stuck is still listed, and never inspected."""
    identity = ContainerIdentity(
        node="node", type=CONTAINER_TYPE, pod_name="p", pod_namespace="n", pod_uid=PodUID("u"), name="app"
    )

    async def never(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    gone = LISTED | {"Id": "gone", "Labels": encode(identity)}
    scripted.answers["GET /containers/json"] = [LISTED | {"Id": C, "Labels": encode(identity)}, gone]
    scripted.answers[f"GET /containers/{C}/json"] = never
    engine = DockerEngine("node", scripted.url, timeout=0.1)
    (state,) = (await engine.observe(PodUID("u"))).containers
    assert (state.id, state.run) == (C, Run.UNKNOWN)
    await engine.close()


async def test_a_signal_that_is_refused_for_another_reason_is_an_error(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers[f"POST /containers/{C}/kill"] = refusing(400, "Invalid signal: FOO")
    with pytest.raises(EngineError, match="Invalid signal"):
        await engine.signal(C, "FOO")


@pytest.mark.parametrize(
    ("message", "is_fine"),
    [
        ("removal of container c is already in progress", True),
        ("driver failed to remove root filesystem: device or resource busy", False),
    ],
)
async def test_a_remove_that_is_refused(engine: DockerEngine, scripted: ScriptedEngine, message: str, is_fine: bool):
    scripted.answers[f"DELETE /containers/{C}"] = refusing(409, message)
    if is_fine:
        await engine.remove(C)
    else:
        with pytest.raises(EngineConflict, match="busy"):
            await engine.remove(C)


async def test_close_waits_for_what_is_under_way(scripted: ScriptedEngine):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await answer.wait()
        return web.json_response({"done": True})

    scripted.answers["GET /info"] = slow
    unary = Unary(Endpoint(f"http+{scripted.url}"), 2, 5)
    call = asyncio.create_task(unary.call("GET", "/info"))
    await asked.wait()
    closing = asyncio.create_task(unary.close())
    await asyncio.sleep(0)
    with pytest.raises(EngineUnavailable, match="closed"):
        await unary.call("GET", "/info")
    assert not closing.done()
    answer.set()
    assert await call == {"done": True}
    await closing
