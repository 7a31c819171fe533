"""Authorities that follow one another: at no time does a client meet a certificate that it cannot verify."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.kube.certificates.authorities import Authority, next_is_due, signer, standing
from vkprovider.kube.certificates.own_authority import bundle, issue, new_authority, read_authorities
from vkprovider.node.clock import SystemClock

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=100)
STEP = timedelta(hours=1)


def authority(made: datetime) -> Authority:
    return Authority(certificate=str(made).encode(), key=b"", made=made, ends=made + LIFE)


class Replica:
    """One process that serves, and who signed the certificate that it shows."""

    by: Authority

    def look(self, secret: list[Authority], now: datetime) -> None:
        authorities = standing(secret, now)
        if next_is_due(authorities, now):
            authorities = (*authorities, authority(now))
        secret[:] = authorities
        self.by = signer(authorities, now)


@given(st.lists(st.integers(1, 10), min_size=2, max_size=3))
def test_whoever_serves_is_verified_by_what_was_published_long_before(every: list[int]) -> None:
    """Replicas that look every so many hours, and API servers that hear of the authorities twelve hours late."""
    secret: list[Authority] = []
    replicas = [Replica() for _ in every]
    published: list[list[Authority]] = []
    for hour in range(450):
        now = T0 + STEP * hour
        for replica, hours in zip(replicas, every, strict=True):
            if hour % hours == 0:
                replica.look(secret, now)
        published.append(list(secret))
        known = published[max(0, hour - 12)]
        for replica in replicas:
            assert replica.by in known
            assert replica.by.ends > now
    assert len({each.made for listed in published for each in listed}) >= 8  # one for each half of a life
    assert max(len(listed) for listed in published) == 2


def test_an_authority_signs_once_everybody_knows_it() -> None:
    old, new = authority(T0), authority(T0 + LIFE / 2)
    assert signer([old], T0) is old
    assert signer([old, new], T0 + LIFE * 0.7) is old
    assert signer([old, new], T0 + LIFE * 0.75) is new
    assert standing([new, old], T0 + LIFE) == (new,)


@pytest.fixture(scope="module")
def pair() -> tuple[Authority, Authority]:
    now = SystemClock().now()
    return new_authority("test", now, LIFE), new_authority("test", now + STEP, LIFE)


def test_authorities_are_kept_with_their_keys(pair: tuple[Authority, Authority]) -> None:
    one, other = pair
    keys = one.key + other.key
    assert read_authorities(bundle(pair), keys) == pair
    for certificates, wrong in (
        (bundle(pair), other.key + one.key),
        (bundle(pair), one.key),
        (b"no certificate", keys),
    ):
        with pytest.raises(ValueError, match=r".+"):
            read_authorities(certificates, wrong)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "vkprovider-webhook.vkprovider.svc"])
def test_a_certificate_is_for_its_host_and_by_its_authority(
    pair: tuple[Authority, Authority], host: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one, other = pair
    now = SystemClock().now()
    path = tmp_path_factory.mktemp("pair") / "pair.pem"
    path.write_bytes(issue(one, [host, "other.example"], now))
    assert shakes_hands(path, bundle(pair), host)
    assert not shakes_hands(path, bundle([other]), host)
    assert not shakes_hands(path, bundle(pair), "elsewhere.example")


def shakes_hands(pair: object, authorities: bytes, host: str) -> bool:
    """Whether a client that trusts these authorities takes the server for ``host``."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(str(pair))
    asking = ssl.create_default_context(cadata=authorities.decode())
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=host)
    server = serving.wrap_bio(there, back, server_side=True)
    done = {id(client): False, id(server): False}
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
                done[id(side)] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return all(done.values())
