"""What pods get of other namespaces' objects: what is granted, as long as it is, and no request for anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.fakes.api_server import PATIENCE, FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import ApiError, ApiForbidden, ApiUnavailable, NotGranted
from vkprovider.kube.client import ApiClient
from vkprovider.kube.references import grants
from vkprovider.kube.references.certificate_requests import CertificateRequests
from vkprovider.kube.references.granted_objects import GrantedObjects
from vkprovider.kube.references.objects import KubeObjects
from vkprovider.kube.references.pod_certificates import PodCertificates
from vkprovider.kube.references.services import Services
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef

OTHER = ObjectRef("ConfigMap", "kube-system", "filebeat-config")
OWN = ObjectRef("ConfigMap", "default", "own")
VOLUME = {"name": "config", "configMap": {"name": "kube-system/filebeat-config"}}
MOUNT = {"volumeMounts": [{"name": "config", "mountPath": "/etc/filebeat"}]}
WATCHES = 3  # of sets, bindings and namespaces


def web(**labels: str) -> Pod:
    containers = [{"name": "filebeat", "image": "i", **MOUNT}, {"name": "app", "image": "i"}]
    meta = {"name": "web", "namespace": "default", "uid": "u", "labels": labels or {"app": "web"}}
    return decode_pod({"metadata": meta, "spec": {"containers": containers, "volumes": [VOLUME]}})


class Given:
    """A node's objects, with one pod that refers elsewhere, and what that was told."""

    def __init__(self, server: FakeApiServer, api: ApiClient, clock: QuickClock) -> None:
        self.store = server.store
        self.server = server
        certificates = PodCertificates(CertificateRequests(api, clock, "n1", lambda: "n-uid"), clock)
        self.objects = GrantedObjects(KubeObjects(api, clock, Services()), certificates, api, clock)
        self.told: list[ObjectRef] = []
        self._more = asyncio.Event()
        self.store.put("namespaces", {"metadata": {"name": "default"}})
        self.put("1")

    def put(self, value: str) -> None:
        meta = {"name": "filebeat-config", "namespace": "kube-system"}
        self.store.put("configmaps", {"metadata": meta, "data": {"a": value}})

    def set(self, **spec: Any) -> None:
        usual = {"selector": {"matchLabels": {"app": "web"}}, "volumes": [VOLUME]}
        containers = [{"name": "filebeat", "image": "i", **MOUNT}]
        raw = {"metadata": {"name": "logs"}, "spec": usual | {"containers": containers} | spec}
        self.store.put("sidecarsets", raw)

    def bind(self) -> None:
        refs = [{"kind": "ConfigMap", "name": "filebeat-config"}]
        spec = {"subjects": [{"kind": "SidecarSet", "name": "logs"}], "resourceRefs": refs}
        meta = {"name": "b", "namespace": "kube-system"}
        self.store.put("sidecarsetresourcebindings", {"metadata": meta, "spec": spec})

    def unbind(self) -> None:
        self.store.vanish("sidecarsetresourcebindings", "kube-system", "b")

    def follow(self, pod: Pod, *refs: ObjectRef) -> None:
        def changed(ref: ObjectRef) -> None:
            self.told.append(ref)
            self._more.set()

        self.objects.follow(pod, frozenset(refs), changed)

    async def until_told(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.told) < times:
                self._more.clear()
                await self._more.wait()

    async def value(self, pod: Pod) -> str | None:
        raw = await self.objects.get(OTHER, pod)
        return raw["data"]["a"] if raw is not None else None

    async def refused(self, pod: Pod) -> str:
        with pytest.raises(NotGranted) as refused:
            await self.objects.get(OTHER, pod)
        return str(refused.value)

    @property
    def asked_about_it(self) -> bool:
        return any(asked.key.plural == "configmaps" for asked in self.server.asked)


@pytest.fixture
async def given(server: FakeApiServer, api: ApiClient, clock: QuickClock) -> AsyncIterator[Given]:
    given = Given(server, api, clock)
    yield given
    await given.objects.aclose()


async def test_what_is_not_granted_is_not_asked_for(given: Given) -> None:
    given.set()
    given.follow(web(), OTHER)
    there = await given.refused(web())
    assert "the SidecarSet logs" in there
    given.store.vanish("configmaps", "kube-system", "filebeat-config")
    assert await given.refused(web()) == there
    assert (given.told, given.asked_about_it) == ([], False)


async def test_a_binding_that_comes_later_is_told_and_followed(given: Given) -> None:
    given.set()
    given.follow(web(), OTHER)
    await given.refused(web())
    given.bind()
    await given.until_told(2)  # that it is granted, and that it is there
    assert await given.value(web()) == "1"
    given.put("2")
    await given.until_told(3)
    assert await given.value(web()) == "2"
    assert set(given.told) == {OTHER}


@pytest.mark.parametrize("how", ["binding", "set", "labels"])
async def test_what_is_revoked_is_told_and_no_longer_followed(given: Given, how: str) -> None:
    given.set()
    given.bind()
    given.follow(web(), OTHER)
    await given.until_told(2)
    pod = web()
    match how:
        case "binding":
            given.unbind()
        case "set":
            given.store.vanish("sidecarsets", "", "logs")
        case "labels":
            pod = web(app="other")
            given.follow(pod, OTHER)
    await given.until_told(3)
    await given.refused(pod)
    async with asyncio.timeout(PATIENCE):
        while given.server.watches > WATCHES:
            given.put("2")  # a server sees only when it speaks that nobody listens
            await asyncio.sleep(0)
    assert len(given.told) == 3


async def test_who_refers_to_nothing_elsewhere_costs_no_watch(given: Given) -> None:
    given.follow(web(), OWN)
    await given.until_told(1)
    assert await given.objects.get(OWN, web()) is None
    assert {asked.key.plural for asked in given.server.asked} == {"configmaps"}


async def test_the_watches_end_with_the_last_pod_that_needs_them(given: Given) -> None:
    given.set()
    given.bind()
    given.follow(web(), OTHER)
    await given.until_told(2)
    given.follow(web())
    async with asyncio.timeout(PATIENCE):
        while given.server.watches:
            given.put("2")
            given.set()
            given.bind()
            given.store.put("namespaces", {"metadata": {"name": "default"}})
            await asyncio.sleep(0)
    given.follow(web(), OTHER)
    assert await given.value(web()) == "2"


async def test_kinds_that_are_defined_later(given: Given) -> None:
    given.set()
    given.bind()
    given.server.fail("list", "sidecarsetresourcebindings", 404, times=3)
    given.follow(web(), OTHER)
    assert "This cluster has no sidecarsetresourcebindings yet" in await given.refused(web())
    await given.until_told(2)
    assert await given.value(web()) == "1"


async def test_a_namespace_that_is_not_known_yet(given: Given) -> None:
    """Its labels could keep a set away from it."""
    given.store.vanish("namespaces", "", "default")
    given.set(namespaceSelector={"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]})
    given.bind()
    given.follow(web(), OTHER)
    await given.refused(web())
    given.store.put("namespaces", {"metadata": {"name": "default"}})
    await given.until_told(2)
    assert await given.value(web()) == "1"


async def test_who_may_not_read_bindings_is_told_so(given: Given) -> None:
    given.server.fail("list", "sidecarsetresourcebindings", 403, times=1000)
    given.follow(web(), OTHER)
    with pytest.raises(ApiError, match="may not list sidecarsetresourcebindings"):
        await given.objects.get(OTHER, web())
    assert not given.asked_about_it


async def test_who_may_not_read_the_object_is_told_of_the_role(given: Given) -> None:
    given.set()
    given.bind()
    given.server.fail("get", "configmaps", 403)
    given.server.fail("list", "configmaps", 403, times=1000)
    given.follow(web(), OTHER)
    await given.until_told(1)
    with pytest.raises(ApiForbidden, match=r"may not get .*rbac-bound-namespace.yaml has the role for namespace"):
        await given.objects.get(OTHER, web())


async def test_before_the_first_lists_nothing_is_known(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "PATIENCE_SECONDS", 0.01)
    async with given.server.holding("list"):
        given.follow(web(), OTHER)
        with pytest.raises(ApiUnavailable, match="have not yet been read"):
            await given.objects.get(OTHER, web())


async def test_a_pod_shares_with_none_what_another_was_granted(given: Given) -> None:
    given.set()
    given.bind()
    given.follow(web(), OTHER)
    await given.until_told(2)
    other = msgspec.structs.replace(web(app="other"), metadata=msgspec.structs.replace(web().metadata, uid="v"))
    given.follow(other, OTHER)
    await given.refused(other)
    assert await given.value(web()) == "1"
