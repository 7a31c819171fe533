from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.engine.scripted_engine import VERSION, ScriptedEngine, Stream, refusing
from vkprovider.engine import sandbox_image
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.errors import EngineError, EngineUnavailable, ImagePullError
from vkprovider.model.engine import ImageInfo, PullProgress, RegistryAuth

FOUND = {"Id": "sha256:1", "Size": 7, "RepoDigests": ["here/busybox@sha256:2"], "Config": {}}
INFO = ImageInfo(id="sha256:1", size_bytes=7, digest="here/busybox@sha256:2")
NAME = "here/busybox:1.28"
BUILT_IN = {arch: sandbox_image.name(arch) for arch in ("amd64", "arm64")}
TAR = sandbox_image.tar("amd64")


def ignore(_: PullProgress) -> None:
    """Nobody looks."""


def line(**message: object) -> bytes:
    return json.dumps(message).encode() + b"\r\n"


def downloading(current: int) -> bytes:
    return line(status="Downloading", id="a", progressDetail={"current": current, "total": 100})


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Docker configuration of the test's own, without credentials."""
    directory = tmp_path / "docker"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    return directory


@pytest.fixture
def pulling(scripted: ScriptedEngine) -> Stream:
    stream = scripted.answers["POST /images/create"] = Stream()
    scripted.answers[f"GET /images/{NAME}/json"] = FOUND
    return stream


async def test_a_pull_tells_how_far_it_is(engine: DockerEngine, pulling: Stream):
    heard: list[PullProgress] = []
    pull = asyncio.create_task(engine.pull(NAME, (), heard.append))
    said = await pulling.next()
    said.put_nowait(downloading(10) + downloading(60))
    said.put_nowait(line(status="Download complete", id="a"))
    said.put_nowait(None)
    assert await pull == INFO
    assert heard[-1] == PullProgress(image=NAME, current_bytes=100, total_bytes=100, status="Download complete")
    assert [p.current_bytes for p in heard] == sorted(p.current_bytes for p in heard)


async def test_who_asks_for_the_same_image_at_once_shares_one_pull(
    engine: DockerEngine, scripted: ScriptedEngine, pulling: Stream
):
    one, two = [], []
    first = asyncio.create_task(engine.pull(NAME, (), one.append))
    said = await pulling.next()
    second = asyncio.create_task(engine.pull(NAME, (), two.append))
    await asyncio.sleep(0)
    said.put_nowait(downloading(10))
    said.put_nowait(None)
    assert await asyncio.gather(first, second) == [INFO, INFO]
    assert scripted.paths("POST") == ["/images/create"]
    assert one == two != []
    third = asyncio.create_task(engine.pull(NAME, (), ignore))  # afterwards, it is a new one
    (await pulling.next()).put_nowait(None)
    await third
    assert scripted.paths("POST") == ["/images/create"] * 2


async def test_a_pull_goes_on_until_its_last_caller_is_gone(engine: DockerEngine, pulling: Stream):
    first, second = (asyncio.create_task(engine.pull(NAME, (), ignore)) for _ in range(2))
    said = await pulling.next()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not pulling.closed.is_set()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    async with asyncio.timeout(10):
        while not pulling.closed.is_set():
            said.put_nowait(downloading(1))
            await asyncio.sleep(0.01)


async def test_who_comes_just_as_the_last_one_goes_gets_a_pull_of_its_own(engine: DockerEngine, pulling: Stream):
    first = asyncio.create_task(engine.pull(NAME, (), ignore))
    await pulling.next()
    first.cancel()
    second = asyncio.create_task(engine.pull(NAME, (), ignore))
    (await pulling.next()).put_nowait(None)
    assert await second == INFO
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("busybox", {"fromImage": "busybox", "tag": "latest"}),
        ("busybox:1.28", {"fromImage": "busybox", "tag": "1.28"}),
        ("host:5000/a/b", {"fromImage": "host:5000/a/b", "tag": "latest"}),
        ("host:5000/a/b:c", {"fromImage": "host:5000/a/b", "tag": "c"}),
        ("a/b@sha256:12", {"fromImage": "a/b", "tag": "sha256:12"}),
        ("a/b:c@sha256:12", {"fromImage": "a/b:c", "tag": "sha256:12"}),
    ],
)
async def test_what_is_asked_of_the_engine(
    engine: DockerEngine, scripted: ScriptedEngine, name: str, query: dict[str, str]
):
    scripted.answers["POST /images/create"] = {"status": "done"}
    scripted.answers[f"GET /images/{name}/json"] = FOUND
    await engine.pull(name, (), ignore)
    assert scripted.asked[-2].query == query


async def test_credentials_are_tried_in_order(engine: DockerEngine, scripted: ScriptedEngine):
    tried: list[dict[str, str]] = []

    async def registry(request: web.Request) -> web.Response:
        given = json.loads(base64.urlsafe_b64decode(request.headers["X-Registry-Auth"]))
        tried.append(given)
        if given.get("identitytoken") != "right":
            return web.json_response({"message": "unauthorized"}, status=500)
        return web.json_response({"status": "done"})

    scripted.answers["POST /images/create"] = registry
    scripted.answers[f"GET /images/{NAME}/json"] = FOUND
    wrong, right = RegistryAuth(username="u", password="wrong"), RegistryAuth(token="right")
    assert await engine.pull(NAME, (wrong, right, wrong), ignore) == INFO
    assert tried == [{"username": "u", "password": "wrong"}, {"identitytoken": "right"}]
    with pytest.raises(ImagePullError, match=r"^unauthorized$"):
        await engine.pull(NAME, (wrong, wrong), ignore)


async def test_different_failures_are_all_told(engine: DockerEngine, scripted: ScriptedEngine):
    answers = iter(["unauthorized", "denied", "denied"])

    async def registry(_: web.Request) -> web.Response:
        return web.json_response({"message": next(answers)}, status=500)

    scripted.answers["POST /images/create"] = registry
    auths = tuple(RegistryAuth(username=name, password="p") for name in "abc")
    with pytest.raises(ImagePullError, match=r"^\[unauthorized, denied\]$"):
        await engine.pull(NAME, auths, ignore)


@pytest.mark.parametrize(
    ("logged_in_at", "name", "expected"),
    [
        ("host:5000", "host:5000/busybox:1", "me"),
        ("host:5000", "other:5000/busybox:1", None),
        ("https://index.docker.io/v1/", "busybox", "me"),
    ],
)
async def test_without_credentials_the_users_own_are_taken(
    engine: DockerEngine,
    scripted: ScriptedEngine,
    docker_config: Path,
    logged_in_at: str,
    name: str,
    expected: str | None,
):
    login = {"auths": {logged_in_at: {"auth": base64.b64encode(b"me:secret").decode()}}}
    (docker_config / "config.json").write_text(json.dumps(login))
    scripted.answers["POST /images/create"] = {"status": "done"}
    scripted.answers[f"GET /images/{name}/json"] = FOUND
    await engine.pull(name, (), ignore)
    given = scripted.headers[-2].get("X-Registry-Auth")
    assert (json.loads(base64.urlsafe_b64decode(given))["username"] if given else None) == expected


async def test_the_users_own_credentials_come_after_those_that_were_given(
    engine: DockerEngine, scripted: ScriptedEngine, docker_config: Path
):
    login = {"auths": {"host:5000": {"auth": base64.b64encode(b"me:secret").decode()}}}
    (docker_config / "config.json").write_text(json.dumps(login))
    scripted.answers["POST /images/create"] = refusing(500, "unauthorized")
    with pytest.raises(ImagePullError, match=r"^unauthorized$"):
        await engine.pull("host:5000/busybox:1", (RegistryAuth(username="pods", password="p"),), ignore)
    assert usernames(scripted) == ["pods", "me"]


@pytest.mark.parametrize(("given", "expected"), [("config.json", ["me"]), ("missing.json", [None]), (None, [None])])
async def test_a_nodes_own_credentials_are_those_of_a_file_that_it_was_given(
    scripted: ScriptedEngine, docker_config: Path, tmp_path: Path, given: str | None, expected: list[str | None]
):
    for file, user in ((docker_config / "config.json", "its-user"), (tmp_path / "config.json", "me")):
        auth = base64.b64encode(f"{user}:secret".encode()).decode()
        file.write_text(json.dumps({"auths": {"host:5000": {"auth": auth}}}))
    engine = DockerEngine("node", scripted.url, registry_config=str(tmp_path / given) if given else None)
    scripted.answers["POST /images/create"] = refusing(500, "unauthorized")
    with pytest.raises(ImagePullError):
        await engine.pull("host:5000/busybox:1", (), ignore)
    assert usernames(scripted) == expected
    await engine.close()


async def test_a_credential_helper_is_asked(
    engine: DockerEngine,
    scripted: ScriptedEngine,
    docker_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    helper = tmp_path / "docker-credential-test"
    answer = json.dumps({"ServerURL": "host:5000", "Username": "helped", "Secret": "s"})
    helper.write_text(f"#!/bin/sh\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (docker_config / "config.json").write_text(json.dumps({"credHelpers": {"host:5000": "test"}}))
    scripted.answers["POST /images/create"] = refusing(500, "unauthorized")
    with pytest.raises(ImagePullError):
        await engine.pull("host:5000/busybox:1", (), ignore)
    assert usernames(scripted) == ["helped"]


def usernames(scripted: ScriptedEngine) -> list[str | None]:
    """Those that pulls were tried with, in order; None for a try without credentials."""
    pulls = [asked for asked in zip(scripted.asked, scripted.headers, strict=True) if asked[0].path.endswith("/create")]
    given = [headers.get("X-Registry-Auth") for _, headers in pulls]
    return [_username(base64.urlsafe_b64decode(each)) if each else None for each in given]


def _username(header: bytes) -> str:
    """Go, in which the engine is written, does not mind how a field is spelled."""
    fields: dict[str, str] = {name.lower(): value for name, value in json.loads(header).items()}
    return fields["username"]


@pytest.mark.filterwarnings("ignore:docker-credential-never-installed")
async def test_a_credential_helper_that_is_missing_does_no_harm(
    engine: DockerEngine, scripted: ScriptedEngine, docker_config: Path
):
    (docker_config / "config.json").write_text('{"credsStore": "never-installed"}')
    scripted.answers["POST /images/create"] = {"status": "done"}
    scripted.answers[f"GET /images/{NAME}/json"] = FOUND
    assert await engine.pull(NAME, (), ignore) == INFO


async def test_a_refusal_before_the_stream(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["POST /images/create"] = refusing(404, "pull access denied for here/busybox")
    with pytest.raises(ImagePullError, match="pull access denied"):
        await engine.pull(NAME, (), ignore)


async def test_a_refusal_within_the_stream(engine: DockerEngine, pulling: Stream):
    pull = asyncio.create_task(engine.pull(NAME, (), ignore))
    said = await pulling.next()
    said.put_nowait(downloading(10))
    said.put_nowait(line(error="manifest unknown", errorDetail={"message": "manifest unknown"}))
    with pytest.raises(ImagePullError, match=r"^manifest unknown$"):
        await pull


async def test_an_engine_that_dies_while_pulling(engine: DockerEngine, scripted: ScriptedEngine):
    async def die(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(downloading(10))
        assert request.transport is not None
        request.transport.abort()
        return response

    scripted.answers["POST /images/create"] = die
    with pytest.raises(EngineUnavailable):
        await engine.pull(NAME, (), ignore)


async def test_an_image_that_vanishes_at_once(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["POST /images/create"] = {"status": "done"}
    with pytest.raises(ImagePullError, match="gone again"):
        await engine.pull(NAME, (), ignore)


async def test_an_image_of_several_repositories_is_removed_name_by_name(engine: DockerEngine, scripted: ScriptedEngine):
    names = ["a/one:1", "b/two:1"]
    scripted.answers["GET /images/sha256:1/json"] = {"Id": "sha256:1", "RepoTags": names, "RepoDigests": None}
    scripted.answers["DELETE /images/sha256:1"] = refusing(409, "image is referenced in multiple repositories")
    scripted.answers["DELETE /images/a/one:1"] = [{"Untagged": "a/one:1"}]
    scripted.answers["DELETE /images/b/two:1"] = refusing(404, "No such image")
    await engine.remove_image("sha256:1")
    assert scripted.paths("DELETE") == ["/images/sha256:1", "/images/a/one:1", "/images/b/two:1"]


# --- the sandbox's image ----------------------------------------------------------------------------------------


async def test_the_built_in_image_is_loaded_once(engine: DockerEngine, scripted: ScriptedEngine):
    name = BUILT_IN["amd64"]
    loaded: list[bytes] = []

    async def load(request: web.Request) -> web.Response:
        loaded.append(await request.read())
        scripted.answers[f"GET /images/{name}/json"] = FOUND
        return web.json_response({"stream": "Loaded image"})

    scripted.answers["POST /images/load"] = load
    assert set(await asyncio.gather(*(engine.sandbox_image() for _ in range(5)))) == {name}
    assert loaded == [TAR]


async def test_the_built_in_image_that_is_there_is_not_loaded(engine: DockerEngine, scripted: ScriptedEngine):
    name = BUILT_IN["amd64"]
    scripted.answers[f"GET /images/{name}/json"] = FOUND
    assert await engine.sandbox_image() == name
    assert scripted.paths("POST") == []


async def test_the_built_in_image_is_that_of_the_engines_architecture(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["GET /version"] = VERSION | {"Arch": "aarch64"}
    name = BUILT_IN["arm64"]
    scripted.answers[f"GET /images/{name}/json"] = FOUND
    assert await engine.sandbox_image() == name


async def test_an_engine_that_does_not_take_the_built_in_image(engine: DockerEngine, scripted: ScriptedEngine):
    scripted.answers["POST /images/load"] = {"errorDetail": {"message": "no space left on device"}}
    with pytest.raises(EngineError, match="no space left on device"):
        await engine.sandbox_image()


async def test_an_image_of_the_administrators_is_pulled_where_missing(scripted: ScriptedEngine):
    async def pulled(_: web.Request) -> web.Response:
        scripted.answers["GET /images/my/pause:1/json"] = FOUND
        return web.json_response({"status": "done"})

    scripted.answers["POST /images/create"] = pulled
    engine = DockerEngine("node", scripted.url, sandbox_image="my/pause:1")
    assert await engine.sandbox_image() == "my/pause:1"
    assert await engine.sandbox_image() == "my/pause:1"
    assert scripted.paths("POST") == ["/images/create"]
    await engine.close()
