from __future__ import annotations

import stat
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.pods import pod
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import (
    ApiConflict,
    ApiError,
    ApiForbidden,
    ApiGone,
    ApiInvalid,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
)
from vkprovider.kube import client
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import CONFIG_MAPS, PODS, Resource

WEB = PODS.at("default", "web")


def test_places_have_the_paths_of_the_api() -> None:
    assert PODS.at().path == "/api/v1/pods"
    assert PODS.at("default", "web", "status").path == "/api/v1/namespaces/default/pods/web/status"
    lease = Resource("leases", "coordination.k8s.io").at("kube-node-lease", "a/b")
    assert lease.path == "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a%2Fb"
    assert str(PODS.at("default", "web", "status")) == 'pods/status "web" in namespace default'
    assert str(PODS.at()) == "pods"


async def test_objects_go_in_and_out_as_they_are(server: FakeApiServer, api: ApiClient) -> None:
    made = await api.create(
        CONFIG_MAPS.at("default"), {"metadata": {"name": "c", "namespace": "default"}, "x": {"y": 1}}
    )
    assert made["x"] == {"y": 1}
    changed = await api.patch(CONFIG_MAPS.at("default", "c"), {"x": {"z": None, "w": 2}})
    assert changed["x"] == {"y": 1, "w": 2}
    assert [item["metadata"]["name"] for item in (await api.list(CONFIG_MAPS.at()))["items"]] == ["c"]
    assert await api.get(CONFIG_MAPS.at("default", "c")) == changed
    await api.delete(CONFIG_MAPS.at("default", "c"), {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert server.store.get("configmaps", "default", "c") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiInvalid),
        (401, ApiUnauthorized),
        (403, ApiForbidden),
        (404, ApiNotFound),
        (408, ApiUnavailable),
        (409, ApiConflict),
        (410, ApiGone),
        (418, ApiError),
        (422, ApiInvalid),
        (429, ApiUnavailable),
        (500, ApiUnavailable),
        (503, ApiUnavailable),
    ],
)
async def test_each_refusal_is_one_of_our_errors(
    server: FakeApiServer, api: ApiClient, status: int, kind: type[ApiError]
) -> None:
    server.fail("get", "pods", status)
    with pytest.raises(ApiError, match=r'pods "web" in namespace default.*: as the test wants it') as caught:
        await api.get(WEB)
    assert type(caught.value) is kind


async def test_a_forbidden_verb_is_named_with_what_to_do(server: FakeApiServer, api: ApiClient) -> None:
    server.fail("patch", "pods", 403)
    with pytest.raises(ApiForbidden) as caught:
        await api.patch(PODS.at("default", "web", "status"), {})
    assert str(caught.value) == (
        'may not patch pods/status "web" in namespace default: grant it (deploy/ has the roles that are needed): '
        "as the test wants it"
    )


async def test_the_api_servers_own_word_and_wish_are_kept(server: FakeApiServer, api: ApiClient) -> None:
    status = {"kind": "Status", "code": 429, "reason": "TooManyRequests", "details": {"retryAfterSeconds": 7}}
    server.fail("list", "pods", 429, body=msgspec.json.encode(status))
    with pytest.raises(ApiUnavailable) as caught:
        await api.list(PODS.at())
    assert (caught.value.status_reason, caught.value.retry_after) == ("TooManyRequests", 7)


@pytest.mark.parametrize("body", [b"<html>secret</html>", b'{"password": "secret"}', b'{"kind": "Secret"}', b""])
async def test_a_body_that_is_no_status_is_withheld(server: FakeApiServer, api: ApiClient, body: bytes) -> None:
    server.fail("get", "pods", 502, body=body)
    with pytest.raises(ApiUnavailable) as caught:
        await api.get(WEB)
    assert "secret" not in str(caught.value).lower()
    assert "HTTP status 502" in str(caught.value)


async def test_an_answer_that_is_not_json_is_no_answer(server: FakeApiServer, api: ApiClient) -> None:
    server.fail("get", "pods", 200, body=b"secret")
    with pytest.raises(ApiUnavailable, match="not JSON") as caught:
        await api.get(WEB)
    assert "secret" not in str(caught.value)


async def test_a_cut_connection_and_an_outage_are_unavailable(server: FakeApiServer, api: ApiClient) -> None:
    server.store.put("pods", pod("web"))
    server.fail("patch", "pods", 0)
    with pytest.raises(ApiUnavailable, match="cannot patch"):
        await api.patch(WEB, {})
    await server.stop()
    with pytest.raises(ApiUnavailable, match=r"http://127.0.0.1:\d+ cannot be reached: Connection refused"):
        await api.get(WEB)
    await server.start()
    assert (await api.get(WEB))["metadata"]["name"] == "web"


async def test_a_server_that_hangs_is_unavailable(
    server: FakeApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.1)
    async with server.holding("get"):
        with pytest.raises(ApiUnavailable, match=r"http://127.0.0.1:\d+ does not answer"):
            await api.get(WEB)


async def test_a_watch_ends_when_the_server_is_silent(server: FakeApiServer, api: ApiClient) -> None:
    server.store.put("pods", pod("web"))
    async with aclosing(api.watch(PODS.at(), {}, 0.1)) as events:
        assert [event.type async for event in events] == ["ADDED"]


async def test_a_watch_that_begins_too_late_is_gone(server: FakeApiServer, api: ApiClient) -> None:
    server.store.compact()
    for server.gone_in_stream in (True, False):
        with pytest.raises(ApiGone):
            async with aclosing(api.watch(PODS.at(), {"resourceVersion": "1"}, 5)) as events:
                await anext(events)


# --- who we are -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "it does not exist"),
        ("", "it is not a kubeconfig"),
        ("- a", "it is not a kubeconfig"),
        ("a: [", "while parsing a flow node expected the node content"),
        ("{current-context: x, contexts: []}", "Expected object with name x in .*contexts list"),
    ],
)
async def test_a_wrong_kubeconfig_is_named_and_read_again_when_it_is_right(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock, content: str | None, complaint: str
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    api = ApiClient(clock, str(path))
    for _ in range(2):
        with pytest.raises(ApiUnauthorized, match=f"^kubeconfig {path}: .*{complaint}"):
            await api.list(PODS.at())
    write_kubeconfig(path, server.url)
    clock.elapsed += 5
    assert (await api.list(PODS.at()))["items"] == []
    await api.aclose()


async def test_who_has_no_kubeconfig_is_told_what_to_give(
    tmp_path: Path, clock: QuickClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    api = ApiClient(clock)
    with pytest.raises(ApiUnauthorized, match=r"/\.kube/config: it does not exist: give --kubeconfig FILE; .* --kind$"):
        await api.list(PODS.at())
    await api.aclose()


async def test_a_renewed_token_is_taken_up_when_the_old_one_is_refused(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    server.token = "old"
    path = write_kubeconfig(tmp_path / "kubeconfig", server.url, "old")
    api = ApiClient(clock, str(path))
    await api.list(PODS.at())
    server.token = "new"
    write_kubeconfig(path, server.url, "new")
    clock.elapsed += 10
    assert (await api.list(PODS.at()))["items"] == []
    server.token = "newer"
    clock.elapsed += 10
    with pytest.raises(ApiUnauthorized, match="cannot list pods: the API server does not accept the credentials"):
        await api.list(PODS.at())
    await api.aclose()


async def test_a_watch_goes_on_over_the_old_connections_when_there_are_new_ones(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", server.url)
    api = ApiClient(clock, str(path))
    async with aclosing(api.watch(PODS.at(), {}, 5)) as events:
        server.store.put("pods", pod("one"))
        assert (await anext(events)).object["metadata"]["name"] == "one"
        server.token = "new"
        config = msgspec.json.decode(write_kubeconfig(path, server.url, "new").read_bytes())
        config["clusters"][0]["cluster"]["tls-server-name"] = "other"
        path.write_bytes(msgspec.json.encode(config))
        clock.elapsed += 10
        assert len((await api.list(PODS.at()))["items"]) == 1
        server.store.put("pods", pod("two"))
        assert (await anext(events)).object["metadata"]["name"] == "two"
    await api.aclose()


async def test_renewed_credentials_are_read_with_the_next_request(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    token, path = tmp_path / "token", write_kubeconfig(tmp_path / "kubeconfig", server.url)
    config = msgspec.json.decode(path.read_bytes())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path.write_bytes(msgspec.json.encode(config))
    api = ApiClient(clock, str(path))
    for server.token in ("one", "two"):
        token.write_text(server.token)
        api.credentials_renewed()
        await api.list(PODS.at())
    assert len(server.asked) == 2  # neither was refused
    await api.aclose()


async def test_a_token_file_is_read_every_minute(server: FakeApiServer, tmp_path: Path, clock: QuickClock) -> None:
    token, path = tmp_path / "token", write_kubeconfig(tmp_path / "kubeconfig", server.url)
    token.write_text("one")
    config = msgspec.json.decode(path.read_bytes())
    config["users"][0]["user"] = {"tokenFile": str(token)}
    path.write_bytes(msgspec.json.encode(config))
    api = ApiClient(clock, str(path))
    server.token = "one"
    await api.list(PODS.at())
    token.write_text("two")
    server.token = "two"
    clock.elapsed += 61
    await api.list(PODS.at())
    assert len(server.asked) == 2  # neither was refused
    await api.aclose()


def plugin(folder: Path, script: str) -> Path:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\necho run >> {folder}/runs\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def with_plugin(path: Path, server: FakeApiServer, command: Path) -> str:
    config = msgspec.json.decode(write_kubeconfig(path, server.url).read_bytes())
    version = "client.authentication.k8s.io/v1"
    config["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(command)}}
    path.write_bytes(msgspec.json.encode(config))
    return str(path)


async def test_a_credential_plugin_runs_when_its_token_is_needed(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    head = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "'
    command = plugin(tmp_path, f"echo '{head}'$(cat {secret})'\"}}}}'")
    api = ApiClient(clock, with_plugin(tmp_path / "kubeconfig", server, command))
    server.token = "one"
    for _ in range(3):
        await api.list(PODS.at())
        clock.elapsed += 100
    assert (tmp_path / "runs").read_text() == "run\n"
    secret.write_text("two")
    server.token = "two"
    await api.list(PODS.at())
    assert (tmp_path / "runs").read_text() == "run\nrun\n"
    await api.aclose()


async def test_a_credential_plugin_that_fails_is_quoted(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    command = plugin(tmp_path, "echo 'please log in' >&2; exit 3")
    api = ApiClient(clock, with_plugin(tmp_path / "kubeconfig", server, command))
    with pytest.raises(ApiUnauthorized, match=r"its credential plugin gave no credentials: .*3.*please log in"):
        await api.list(PODS.at())


def test_the_package_is_not_imported_before_it_is_needed() -> None:
    program = "import sys, vkprovider.kube.client; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_who_wants_to_know_is_told_of_every_answer(server: FakeApiServer, tmp_path: Path) -> None:
    told: list[tuple[str, str, str]] = []
    kubeconfig = str(write_kubeconfig(tmp_path / "kubeconfig", server.url))
    api = ApiClient(QuickClock(), kubeconfig, answered=lambda method, host, code, _: told.append((method, host, code)))
    server.store.put("pods", pod("web"))
    await api.get(WEB)
    server.fail("get", "pods", 503)
    for error in (ApiUnavailable, ApiUnavailable):
        with pytest.raises(error):
            await api.get(WEB)
        await server.stop()
    host = server.url.removeprefix("http://").removeprefix("https://")
    await api.aclose()
    assert told == [("GET", host, code) for code in ("200", "503", "<error>")]
