from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.api_server import PATIENCE, FakeApiServer
from tests.kube.pods import pod
from tests.kube.quick_clock import T0, QuickClock
from vkprovider.core.record import PodRecord
from vkprovider.errors import ApiError, ApiForbidden, ApiInvalid
from vkprovider.kube.backoff import PATIENT_SECONDS
from vkprovider.kube.client import ApiClient
from vkprovider.kube.pods.lasting_checkpoint import LastingCheckpoint
from vkprovider.kube.references.objects import KubeObjects
from vkprovider.kube.references.services import Services
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef
from vkprovider.node.checkpoint import FileCheckpoint

CONFIG = ObjectRef("ConfigMap", "default", "c")
ONE, TWO = PodUID("one"), PodUID("two")
TOKEN = TokenRef("default", "robot", "web", PodUID("u1"), "vault", 3600)


class Given:
    """An object store, and what its followers were told."""

    def __init__(self, server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
        self.server = server
        self.objects = KubeObjects(api, clock, Services())
        self.told: list[tuple[PodUID, ObjectRef]] = []
        self._more = asyncio.Event()

    def follow(self, uid: PodUID, *refs: ObjectRef) -> None:
        def changed(ref: ObjectRef) -> None:
            self.told.append((uid, ref))
            self._more.set()

        self.objects.follow(uid, frozenset(refs), changed)

    async def until_told(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.told) < times:
                self._more.clear()
                await self._more.wait()

    def put(self, value: str, name: str = "c") -> None:
        self.server.store.put("configmaps", {"metadata": {"name": name, "namespace": "default"}, "data": {"a": value}})

    async def value(self, ref: ObjectRef = CONFIG) -> str | None:
        raw = await self.objects.get(ref)
        return raw["data"]["a"] if raw is not None else None

    def answer(self, token: str, expires: str, seconds: int = 3600) -> None:
        """What the next request for a token is answered with."""
        body = {"spec": {"expirationSeconds": seconds}, "status": {"token": token, "expirationTimestamp": expires}}
        self.server.fail("create", "serviceaccounts", 201, body=msgspec.json.encode(body))


@pytest.fixture
async def store(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> AsyncIterator[Given]:
    given = Given(server, api, clock)
    yield given
    await given.objects.aclose()


@pytest.mark.parametrize(("kind", "plural"), [("ConfigMap", "configmaps"), ("Secret", "secrets")])
async def test_objects_are_got_as_they_are_now(store: Given, kind: str, plural: str) -> None:
    server, objects, ref = store.server, store.objects, ObjectRef(kind, "default", "c")
    assert await objects.get(ref) is None
    raw: dict[str, Any] = {"metadata": {"name": "c", "namespace": "default"}, "data": {"a": "1"}}
    server.store.put(plural, raw)
    found = await objects.get(ref)
    assert found is not None
    assert found["data"] == {"a": "1"}
    server.fail("get", plural, 403)
    with pytest.raises(ApiForbidden, match=f'may not get {plural} "c" in namespace default'):
        await objects.get(ref)


async def test_every_change_of_an_object_is_told(store: Given) -> None:
    store.follow(ONE, CONFIG)
    await store.until_told(1)
    assert await store.value() is None
    for times, value in enumerate(["1", "2"], 2):
        store.put(value)
        await store.until_told(times)
        assert await store.value() == value
    store.server.store.vanish("configmaps", "default", "c")
    await store.until_told(4)
    assert await store.value() is None
    assert store.told == [(ONE, CONFIG)] * 4
    assert {str(asked) for asked in store.server.asked} == {"list configmaps", "watch configmaps"}
    assert {asked.query["fieldSelector"] for asked in store.server.asked} == {"metadata.name=c"}


async def test_pods_share_the_watch_of_an_object_until_the_last_has_gone(store: Given) -> None:
    store.put("1")
    store.follow(ONE, CONFIG)
    store.follow(TWO, CONFIG)
    await store.until_told(2)
    assert store.server.count("list configmaps") == 1
    store.follow(ONE)
    store.put("2")
    await store.until_told(3)
    assert store.told[-1] == (TWO, CONFIG)
    store.follow(TWO)
    async with asyncio.timeout(PATIENCE):
        while store.server.watches:
            store.put("3")  # a server sees only when it speaks that nobody listens
            await asyncio.sleep(0)
    assert len(store.told) == 3


async def test_to_follow_again_changes_nothing(store: Given) -> None:
    for _ in range(3):
        store.follow(ONE, CONFIG)
    await store.until_told(1)
    store.follow(ONE, CONFIG)
    store.put("1")
    await store.until_told(2)
    assert store.server.count("list configmaps", "watch configmaps") == 2


async def test_while_the_server_is_away_what_was_seen_last_holds(store: Given) -> None:
    store.put("1")
    store.follow(ONE, CONFIG)
    await store.until_told(1)
    await store.server.stop()
    assert await store.value() == "1"
    store.put("2")
    await store.server.start()
    await store.until_told(2)
    assert await store.value() == "2"


async def test_an_object_that_is_listed_again_unchanged_is_not_told(store: Given) -> None:
    store.put("1")
    store.follow(ONE, CONFIG)
    await store.until_told(1)
    await store.server.until(lambda: store.server.watches == 1)
    store.server.store.compact()
    store.put("1", name="another")
    store.server.store.compact()
    store.server.end_watches()
    await store.server.until(lambda: store.server.count("list configmaps") == 2 and store.server.watches == 1)
    store.put("2")
    await store.until_told(2)
    assert (store.told, await store.value()) == ([(ONE, CONFIG)] * 2, "2")


async def test_watches_leave_room_for_requests_however_many_they_are(store: Given) -> None:
    refs = [ObjectRef("ConfigMap", "default", f"c{n}") for n in range(150)]
    store.follow(ONE, *refs)
    await store.server.until(lambda: store.server.watches == len(refs))
    assert await store.value() is None


BUNDLE = ObjectRef("ClusterTrustBundle", "", "plain")
BUNDLES = ObjectRef("ClusterTrustBundleList", "", "example.com/a")


def put_bundle(server: FakeApiServer, name: str, signer: str = "") -> None:
    server.store.put("clustertrustbundles", {"metadata": {"name": name}, "spec": {"signerName": signer}})


def bundles_in(raw: Mapping[str, Any] | None) -> list[str]:
    return sorted(each["metadata"]["name"] for each in (raw or {})["items"])


async def test_bundles_of_authorities_by_name_and_by_signer(store: Given) -> None:
    server, objects = store.server, store.objects
    server.served["certificates.k8s.io/v1beta1"] = ["certificatesigningrequests", "clustertrustbundles"]
    for name, signer in (("one", "example.com/a"), ("two", "example.com/b")):
        put_bundle(server, name, signer)
    assert await objects.get(BUNDLE) is None
    assert bundles_in(await objects.get(BUNDLES)) == ["one"]
    store.follow(ONE, BUNDLE, BUNDLES)
    await store.until_told(2)
    assert (await objects.get(BUNDLE), bundles_in(await objects.get(BUNDLES))) == (None, ["one"])
    put_bundle(server, "plain")
    put_bundle(server, "three", "example.com/a")
    await store.until_told(4)
    assert await objects.get(BUNDLE) is not None
    assert bundles_in(await objects.get(BUNDLES)) == ["one", "three"]
    server.store.vanish("clustertrustbundles", "", "one")
    await store.until_told(5)
    assert bundles_in(await objects.get(BUNDLES)) == ["three"]
    watches = {asked.query["fieldSelector"] for asked in server.asked if asked.verb == "watch"}
    assert watches == {"metadata.name=plain", "spec.signerName=example.com/a"}


async def test_an_api_server_that_has_no_bundles_until_it_has(store: Given) -> None:
    store.server.served["certificates.k8s.io/v1alpha1"] = []
    store.follow(ONE, BUNDLE)
    with pytest.raises(ApiError, match=r"the API server has no clustertrustbundles\.certificates\.k8s\.io: whoever"):
        await store.objects.get(BUNDLE)
    store.server.served["certificates.k8s.io/v1alpha1"] = ["clustertrustbundles"]
    put_bundle(store.server, "plain")
    await store.until_told(1)
    assert await store.objects.get(BUNDLE) is not None


async def test_bundles_are_followed_in_another_version_when_theirs_is_served_no_longer(store: Given) -> None:
    store.server.served["certificates.k8s.io/v1beta1"] = ["clustertrustbundles"]
    store.follow(ONE, BUNDLE)
    await store.until_told(1)
    await store.server.until(lambda: store.server.watches == 1)
    store.server.unserved.add("certificates.k8s.io/v1beta1")
    store.server.end_watches()
    put_bundle(store.server, "plain")
    await store.until_told(2)
    assert await store.objects.get(BUNDLE) is not None


async def test_bundles_that_nobody_serves_are_asked_for_ever_more_seldom(store: Given, clock: QuickClock) -> None:
    store.follow(ONE, BUNDLE)
    await clock.until(1200)
    assert clock.waits == sorted(clock.waits[:10]) + clock.waits[10:]
    assert PATIENT_SECONDS * 0.7 < max(clock.waits) <= PATIENT_SECONDS


async def test_a_token_is_bound_to_its_pod(store: Given) -> None:
    store.answer("t1", "2026-01-01T13:00:00Z")
    token = await store.objects.token(TOKEN)
    assert token.value == "t1"
    assert T0 + timedelta(seconds=2870) <= token.renew_at <= T0 + timedelta(seconds=2880)
    (asked,) = store.server.asked
    assert str(asked) == "create serviceaccounts/token robot"
    assert asked.body["spec"] == {
        "audiences": ["vault"],
        "expirationSeconds": 3600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u1"},
    }


async def test_a_token_is_asked_for_once_until_it_is_due(store: Given, clock: QuickClock) -> None:
    store.answer("t1", "2026-01-01T13:00:00Z")
    first = await store.objects.token(TOKEN)
    assert await store.objects.token(TOKEN) == first
    await clock.sleep(2880)
    store.answer("t2", "2026-01-01T13:48:00Z")
    assert (await store.objects.token(TOKEN)).value == "t2"


async def test_a_token_that_cannot_be_renewed_goes_on_until_it_ends(store: Given, clock: QuickClock) -> None:
    store.answer("t1", "2026-01-01T13:00:00Z")
    await store.objects.token(TOKEN)
    await clock.sleep(2880)
    store.server.fail("create", "serviceaccounts", 403, times=2)
    old = await store.objects.token(TOKEN)
    assert (old.value, old.renew_at) == ("t1", clock.now() + timedelta(minutes=1))
    await clock.sleep(720)
    with pytest.raises(ApiForbidden, match='may not create serviceaccounts/token "robot" in namespace default'):
        await store.objects.token(TOKEN)


async def test_an_answer_without_a_token(store: Given) -> None:
    store.server.fail("create", "serviceaccounts", 201, body=b"{}")
    with pytest.raises(ApiInvalid, match="the API server's answer has no token"):
        await store.objects.token(TOKEN)


async def test_a_checkpoint_outlasts_its_pod_until_its_end_is_known(tmp_path: Path) -> None:
    files = FileCheckpoint(tmp_path)
    lasting, web, uid = LastingCheckpoint(files), decode_pod(pod("web", uid="u1")), PodUID("u1")
    await asyncio.to_thread(lasting.save, uid, PodRecord(), web)
    await asyncio.to_thread(lasting.delete, uid)
    assert set(files.load_all()) == {uid}
    await lasting.forget(uid)
    assert files.load_all() == {}
