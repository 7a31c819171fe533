"""Certificates of pods: asked for, waited for, kept, renewed, and forgotten with their pod."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.fakes.api_server import PATIENCE, FakeApiServer
from tests.kube.quick_clock import QuickClock
from vkprovider.errors import VkError
from vkprovider.kube.backoff import PATIENT_SECONDS
from vkprovider.kube.client import ApiClient
from vkprovider.kube.references import pod_certificates
from vkprovider.kube.references.certificate_requests import CertificateRequests
from vkprovider.kube.references.pod_certificates import PodCertificates
from vkprovider.model.pem import in_pem
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef

REF = ObjectRef("PodCertificate", "default", "v/0")
CREATE = "create podcertificaterequests"
NOT_YET = "credential bundle is not issued yet"
OWN = {"signerName": "example.com/pods", "keyType": "ED25519", "userAnnotations": {"example.com/a": "b"}}


def web(**source: Any) -> Pod:
    volume = {"name": "v", "projected": {"sources": [{"podCertificate": OWN | {"keyPath": "key"} | source}]}}
    spec = {"serviceAccountName": "robot", "containers": [{"name": "app", "image": "i"}], "volumes": [volume]}
    return decode_pod({"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": spec})


class StillClock(QuickClock):
    """The longer waits are over when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[asyncio.Event] = []
        self._any = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds < 20:
            await super().sleep(seconds)
            return
        self.waits.append(seconds)
        over = asyncio.Event()
        self._waiting.append(over)
        self._any.set()
        await over.wait()

    async def until_waiting(self) -> None:
        """Until somebody waits for longer."""
        await asyncio.wait_for(self._any.wait(), PATIENCE)

    def advance(self, by: timedelta) -> None:
        self.elapsed += by.total_seconds()
        waiting, self._waiting = self._waiting, []
        self._any.clear()
        for over in waiting:
            over.set()


class Given:
    """A node's certificates, and a signer that does as the test says."""

    def __init__(self, server: FakeApiServer, api: ApiClient) -> None:
        self.server = server
        self.clock = StillClock()
        self.certificates = PodCertificates(CertificateRequests(api, self.clock, "n1", lambda: "n-uid"), self.clock)
        self.told = asyncio.Event()
        server.served["certificates.k8s.io/v1beta1"] = ["podcertificaterequests"]
        server.store.put("serviceaccounts", {"metadata": {"name": "robot", "namespace": "default", "uid": "sa-uid"}})

    def follow(self, pod: Pod, *refs: ObjectRef) -> None:
        self.certificates.follow(pod, frozenset(refs), lambda _: self.told.set())

    async def asked(self, times: int = 1) -> dict[str, Any]:
        """The newest request, once there were so many."""
        await self.server.until(lambda: len(self.bodies) >= times)
        return self.bodies[times - 1]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [asked.body for asked in self.server.asked if str(asked) == CREATE]

    @property
    def stored(self) -> dict[str, Any]:
        """The only request that there is."""
        (raw,) = (raw for key, raw in self.server.store.objects.items() if key.plural == "podcertificaterequests")
        return raw

    def decide(self, kind: str, **status: Any) -> None:
        condition = {"type": kind, "status": "True", "reason": "R", "message": "M"}
        raw = self.stored | {"status": status | {"conditions": [condition]}}
        self.server.store.put("podcertificaterequests", raw)

    async def issue(self, content: bytes, due: datetime) -> None:
        self.told.clear()
        self.decide("Issued", certificateChain=in_pem([content]).decode(), beginRefreshAt=due.isoformat())
        await asyncio.wait_for(self.told.wait(), PATIENCE)


def stub(body: dict[str, Any]) -> Any:
    """The key that a request is for, which has signed it."""
    request = x509.load_der_x509_csr(b64decode(body["spec"]["stubPKCS10Request"]))
    assert request.is_signature_valid
    return request.public_key()


def at_work() -> list[str]:
    """The tasks that are after certificates."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("certificate ")]


@pytest.fixture
async def given(server: FakeApiServer, api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Given]:
    monkeypatch.setattr(pod_certificates, "PATIENCE_SECONDS", 0.05)
    given = Given(server, api)
    yield given
    await given.certificates.aclose()


async def test_what_is_asked_for(given: Given) -> None:
    given.follow(web(maxExpirationSeconds=3600), REF)
    body = await given.asked()
    assert body["metadata"] == {
        "generateName": "req-",
        "namespace": "default",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u"}],
    }
    assert body["apiVersion"] == "certificates.k8s.io/v1beta1"
    assert stub(body) is not None
    spec = {field: value for field, value in body["spec"].items() if field != "stubPKCS10Request"}
    assert spec == {
        "signerName": "example.com/pods",
        "podName": "web",
        "podUID": "u",
        "serviceAccountName": "robot",
        "serviceAccountUID": "sa-uid",
        "nodeName": "n1",
        "nodeUID": "n-uid",
        "maxExpirationSeconds": 3600,
        "unverifiedUserAnnotations": {"example.com/a": "b"},
    }


@pytest.mark.parametrize(("version", "annotated"), [("v1beta1", True), ("v1alpha1", False)])
async def test_older_api_servers_want_another_proof(given: Given, version: str, annotated: bool) -> None:
    given.server.served = {f"certificates.k8s.io/{version}": ["podcertificaterequests"]}
    if version == "v1beta1":
        given.server.fail("create", "podcertificaterequests", 422)
    given.follow(web(), REF)
    spec = (await given.asked(2 if version == "v1beta1" else 1))["spec"]
    assert {"pkixPublicKey", "proofOfPossession"} <= spec.keys()
    assert "stubPKCS10Request" not in spec
    assert ("unverifiedUserAnnotations" in spec) is annotated


async def test_a_certificate_is_kept_until_it_is_replaced(given: Given) -> None:
    pod = web()
    given.follow(pod, REF)
    await given.asked()
    name = given.stored["metadata"]["name"]
    await given.server.until(lambda: given.server.watches == 1)
    with pytest.raises(VkError, match=f"{NOT_YET}: podcertificaterequests .{name}.* waits for its signer"):
        await given.certificates.get(REF, pod)
    await given.issue(b"\x30one", given.clock.now() + timedelta(minutes=30))
    first = await given.certificates.get(REF, pod)
    assert first["certificateChain"] == in_pem([b"\x30one"]).decode()
    watch = [asked for asked in given.server.asked if asked.verb == "watch"]
    assert {each.query["fieldSelector"] for each in watch} == {f"spec.nodeName=n1,metadata.name={name}"}
    given.server.store.vanish("podcertificaterequests", "default", name)  # its cleaner does so, when it has served
    given.clock.advance(timedelta(minutes=36))
    await given.asked(2)
    assert await given.certificates.get(REF, pod) == first
    await given.issue(b"\x30two", given.clock.now() + timedelta(minutes=30))
    second = await given.certificates.get(REF, pod)
    assert second["certificateChain"] == in_pem([b"\x30two"]).decode()
    keys = [load_pem_private_key(each["key"].encode(), password=None).public_key() for each in (first, second)]
    assert keys == [stub(body) for body in given.bodies]
    assert keys[0] != keys[1]


async def test_a_certificate_that_is_due_at_once_waits_for_a_minute(given: Given) -> None:
    given.follow(web(), REF)
    await given.asked()
    await given.issue(b"\x30one", given.clock.now() - timedelta(minutes=30))
    await given.clock.until_waiting()
    assert len(given.bodies) == 1
    given.clock.advance(timedelta(minutes=1))
    await given.asked(2)


@pytest.mark.parametrize("kind", ["Denied", "Failed"])
async def test_what_is_refused_is_not_asked_for_again(given: Given, kind: str) -> None:
    pod = web()
    given.follow(pod, REF)
    await given.asked()
    given.decide(kind)
    await asyncio.wait_for(given.told.wait(), PATIENCE)
    with pytest.raises(VkError, match=f'permanently {kind.lower()}: reason="R" message="M"'):
        await given.certificates.get(REF, pod)
    assert at_work() == []
    assert len(given.bodies) == 1


BROKEN = "-----BEGIN CERTIFICATE-----\n\N{LATIN SMALL LETTER E WITH ACUTE}\n-----END CERTIFICATE-----\n"
SOUND = in_pem([b"\x30"]).decode()
DUE = "2026-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("chain", "due"),
    [(BROKEN, DUE), ("", DUE), (SOUND, DUE.removesuffix("Z")), (SOUND, "9999-12-31T23:59:59Z")],
    ids=["no PEM", "none", "no zone", "no date"],
)
async def test_an_answer_that_cannot_be_read_is_said_and_another_one_asked_for(
    given: Given, chain: str, due: str
) -> None:
    pod = web()
    given.follow(pod, REF)
    await given.asked()
    given.decide("Issued", certificateChain=chain, beginRefreshAt=due)
    await given.asked(2)
    with pytest.raises(VkError, match=f"{NOT_YET}: podcertificaterequests .* "):
        await given.certificates.get(REF, pod)
    assert at_work() != []


async def test_a_request_that_is_deleted_is_made_again(given: Given) -> None:
    given.follow(web(), REF)
    await given.asked()
    given.server.store.vanish("podcertificaterequests", "default", given.stored["metadata"]["name"])
    await given.asked(2)
    first, second = (stub(body) for body in given.bodies)
    assert first == second


async def test_why_nothing_can_be_asked_for(given: Given) -> None:
    pod = web()
    given.server.fail("create", "podcertificaterequests", 403, times=1000)
    given.follow(pod, REF)
    await given.asked(2)
    with pytest.raises(VkError, match=f"{NOT_YET}: may not create podcertificaterequests in namespace default: grant"):
        await given.certificates.get(REF, pod)


async def test_of_two_refusals_the_first_one_is_told(given: Given) -> None:
    """The other one is only for want of the field that older API servers do not know."""
    pod = web()
    for words in ("no such signer", "no such field") * 20:
        body = {"kind": "Status", "message": words}
        given.server.fail("create", "podcertificaterequests", 422, body=msgspec.json.encode(body))
    given.follow(pod, REF)
    await given.asked(4)
    with pytest.raises(VkError, match=f"{NOT_YET}: .*no such signer"):
        await given.certificates.get(REF, pod)


async def test_without_leave_to_read_the_answer_nothing_is_asked_for(given: Given) -> None:
    pod = web()
    given.server.fail("list", "podcertificaterequests", 403, times=1000)
    given.follow(pod, REF)
    await given.server.until(lambda: given.server.count("list podcertificaterequests") > 1)
    with pytest.raises(VkError, match=f"{NOT_YET}: may not list podcertificaterequests in namespace default: grant"):
        await given.certificates.get(REF, pod)
    assert given.bodies == []


async def test_what_stays_refused_is_asked_for_ever_more_seldom(given: Given) -> None:
    given.server.fail("create", "podcertificaterequests", 403, times=1000)
    given.follow(web(), REF)
    waits = given.clock.waits
    for _ in range(5):
        await given.clock.until_waiting()
        given.clock.advance(timedelta(minutes=2))
    assert PATIENT_SECONDS * 0.5 < max(waits) <= PATIENT_SECONDS


async def test_a_version_that_is_served_no_longer_is_looked_for_anew(given: Given) -> None:
    given.follow(web(), REF)
    await given.asked()
    await given.server.until(lambda: given.server.watches == 1)
    given.server.served = {"certificates.k8s.io/v1alpha1": ["podcertificaterequests"]}
    given.server.fail("watch", "podcertificaterequests", 404)
    given.server.end_watches()
    assert (await given.asked(2))["apiVersion"] == "certificates.k8s.io/v1alpha1"


async def test_an_api_server_that_has_no_such_requests(given: Given) -> None:
    pod, given.server.served = web(), {"certificates.k8s.io/v1beta1": ["clustertrustbundles"]}
    given.follow(pod, REF)
    last = "certificates.k8s.io/v1alpha1"
    await given.server.until(lambda: sum(asked.key.name == last for asked in given.server.asked) > 1)
    with pytest.raises(VkError, match=r"the API server has no podcertificaterequests\.certificates\.k8s\.io: whoever"):
        await given.certificates.get(REF, pod)


async def test_a_key_of_a_kind_that_nobody_knows(given: Given) -> None:
    pod = web(keyType="ROT13")
    given.follow(pod, REF)
    with pytest.raises(VkError, match='unknown key type "ROT13"'):
        await given.certificates.get(REF, pod)
    assert given.bodies == []


async def test_what_is_no_longer_followed_is_forgotten(given: Given) -> None:
    pod = web()
    given.follow(pod, REF)
    await given.asked()
    await given.issue(b"\x30one", given.clock.now() + timedelta(minutes=30))
    given.follow(pod)
    with pytest.raises(VkError, match=f"^{NOT_YET}$"):
        await given.certificates.get(REF, pod)
    await asyncio.sleep(0)
    assert at_work() == []
