from __future__ import annotations

import asyncio
from base64 import b64decode
from datetime import timedelta

import pytest
from cryptography import x509

from tests.fakes.api_server import FakeApiServer
from tests.kube.authority import Authority
from tests.kube.quick_clock import T0, QuickClock
from vkprovider.kube.certificates.key_pair import new_key
from vkprovider.kube.certificates.signing import AUTOMATIC_PAUSES, CertificateNotIssued, Wanted, node_client, sign
from vkprovider.kube.client import ApiClient

KEY = new_key()
WANTED = node_client("n1")
ENDS = T0 + timedelta(days=1)


@pytest.fixture
def authority(server: FakeApiServer) -> Authority:
    return Authority(server)


async def refusal(api: ApiClient, clock: QuickClock, wanted: Wanted = WANTED) -> str:
    with pytest.raises(CertificateNotIssued) as caught:
        await sign(api, wanted, KEY, clock)
    return str(caught.value)


async def test_it_asks_for_what_a_kubelet_asks_for(authority: Authority, api: ApiClient, clock: QuickClock) -> None:
    await refusal(api, clock)
    (request,) = authority.requests
    assert request["metadata"]["name"].startswith("system-node-n1-")
    assert request["spec"]["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"
    assert request["spec"]["usages"] == ["digital signature", "client auth"]
    wanted = x509.load_pem_x509_csr(b64decode(request["spec"]["request"]))
    assert wanted.is_signature_valid
    assert wanted.subject == x509.Name.from_rfc4514_string("CN=system:node:n1,O=system:nodes")
    assert not list(wanted.extensions)


async def test_a_server_names_its_hosts(authority: Authority, api: ApiClient, clock: QuickClock) -> None:
    server = Wanted(signer="s", common_name="c", organizations=(), usages=("server auth",), hosts=("10.0.0.1", "n1"))
    await refusal(api, clock, server)
    (request,) = authority.requests
    wanted = x509.load_pem_x509_csr(b64decode(request["spec"]["request"]))
    names = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["10.0.0.1", "n1"]


async def test_the_certificate_is_given_as_soon_as_it_is_there(
    server: FakeApiServer, authority: Authority, api: ApiClient, clock: QuickClock
) -> None:
    asking = asyncio.ensure_future(sign(api, WANTED, KEY, clock))
    await server.until(lambda: authority.requests)
    certificate = authority.issue(authority.requests[0], ENDS)
    assert await asking == certificate
    assert sum(clock.waits) < sum(AUTOMATIC_PAUSES)


async def test_a_request_that_waits_is_not_made_twice(authority: Authority, api: ApiClient, clock: QuickClock) -> None:
    for _ in range(2):
        said = await refusal(api, clock)
        (request,) = authority.requests
        name = request["metadata"]["name"]
        assert said == f"certificate signing request {name} waits for approval: kubectl certificate approve {name}"
    authority.say(request, conditions=[{"type": "Approved", "status": "True"}])
    assert "is approved, but its signer (kubernetes.io/kube-apiserver-client-kubelet) has not" in await refusal(
        api, clock
    )
    certificate = authority.issue(request, ENDS)
    assert await sign(api, WANTED, KEY, clock) == certificate


async def test_another_wish_is_another_request(authority: Authority, api: ApiClient, clock: QuickClock) -> None:
    await refusal(api, clock)
    await refusal(api, clock, node_client("n2"))
    assert len(authority.requests) == 2


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"type": "Denied", "reason": "NotYou", "message": "who is n1?"}, r"was denied \(NotYou: who is n1\?\)"),
        ({"type": "Denied"}, r"was denied \(nobody said why\)"),
        ({"type": "Failed", "message": "no"}, r"was given up by its signer \(no\)"),
    ],
)
async def test_a_request_that_was_refused_says_what_to_do_and_is_made_again_once_it_is_deleted(
    authority: Authority, api: ApiClient, clock: QuickClock, condition: dict[str, str], words: str
) -> None:
    await refusal(api, clock)
    (request,) = authority.requests
    authority.say(request, conditions=[condition])
    with pytest.raises(CertificateNotIssued, match=f"{words}.*kubectl delete csr {request['metadata']['name']}"):
        await sign(api, WANTED, KEY, clock)
    authority.forget(request)
    assert "waits for approval" in await refusal(api, clock)


async def test_an_answer_that_was_lost_is_no_matter(
    server: FakeApiServer, authority: Authority, api: ApiClient, clock: QuickClock
) -> None:
    await refusal(api, clock)
    authority.issue(authority.requests[0], ENDS)
    server.fail("get", "certificatesigningrequests", 404)
    await sign(api, WANTED, KEY, clock)
    assert len(authority.requests) == 1
