from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.fakes.api_server import FakeApiServer, write_kubeconfig
from tests.kube.machines import node_settings
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiUnauthorized
from vkprovider.kube.client import ApiClient
from vkprovider.kube.node.joining import join
from vkprovider.kube.node.settings import NodeSettings


async def joined(server: FakeApiServer, folder: Path, clock: QuickClock) -> NodeSettings:
    kubeconfig = str(write_kubeconfig(folder / "kubeconfig", server.url))
    member, settings = await join(node_settings(kubeconfig=kubeconfig), folder / "pki", clock)
    await member.keep()  # nothing is to be renewed
    await member.aclose()
    return settings


def answer(user: str, *groups: str) -> bytes:
    info = {"username": user, "groups": ["system:authenticated", *groups]}
    return msgspec.json.encode({"kind": "SelfSubjectReview", "status": {"userInfo": info}})


@pytest.mark.parametrize(
    ("body", "restricted"),
    [
        (answer("system:node:vk", "system:nodes"), True),
        (answer("system:node:vk"), False),
        (answer("system:node:other", "system:nodes"), False),
        (answer("system:serviceaccount:vkprovider:vkprovider", "system:serviceaccounts"), False),
    ],
)
async def test_who_we_are_decides_what_we_ask_for(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock, body: bytes, restricted: bool
) -> None:
    server.fail("create", "selfsubjectreviews", 201, body=body)
    assert (await joined(server, tmp_path, clock)).node_restriction is restricted


@pytest.mark.parametrize("status", [403, 404])
async def test_a_server_that_does_not_tell_takes_us_for_no_node(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock, status: int
) -> None:
    server.fail("create", "selfsubjectreviews", status)
    assert not (await joined(server, tmp_path, clock)).node_restriction


async def test_a_server_that_is_away_is_asked_until_it_answers(
    server: FakeApiServer, tmp_path: Path, clock: QuickClock
) -> None:
    server.fail("create", "selfsubjectreviews", 503, times=5)
    server.fail("create", "selfsubjectreviews", 201, body=answer("system:node:vk", "system:nodes"))
    with capture_logs() as logs:
        assert (await joined(server, tmp_path, clock)).node_restriction
    assert [line["log_level"] for line in logs] == ["warning", "info", "info"]
    assert "cannot create selfsubjectreviews" in logs[0]["error"]
    assert clock.waits == sorted(clock.waits)


async def test_another_context_than_the_current_one(server: FakeApiServer, tmp_path: Path, clock: QuickClock) -> None:
    server.fail("create", "selfsubjectreviews", 404)
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    config = msgspec.json.decode(path.read_bytes())
    config["contexts"].append({"name": "mine", "context": {"cluster": "mine", "user": "fake"}})
    config["clusters"].append({"name": "mine", "cluster": {"server": server.url}})
    await asyncio.to_thread(path.write_bytes, msgspec.json.encode(config))
    member, _ = await join(node_settings(kubeconfig=str(path), context="mine"), tmp_path / "pki", clock)
    assert await member.api.server() == server.url
    await member.aclose()


async def test_a_service_account_has_no_contexts(monkeypatch: pytest.MonkeyPatch, clock: QuickClock) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    with pytest.raises(ApiUnauthorized, match="this pod: it has no contexts: give --kubeconfig FILE with --context"):
        await ApiClient(clock, context="mine").server()


@pytest.mark.parametrize("flag", ["kubeconfig", "bootstrap_kubeconfig"])
async def test_a_kubeconfig_that_is_none_is_an_error_at_once(tmp_path: Path, clock: QuickClock, flag: str) -> None:
    with pytest.raises(ApiUnauthorized, match="it does not exist"):
        await join(node_settings(**{flag: str(tmp_path / "none")}), tmp_path / "pki", clock)
