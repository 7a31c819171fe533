from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.api_server import FakeApiServer
from tests.kube.authority import Authority
from tests.kube.quick_clock import T0
from vkprovider.kube.certificates.key_pair import new_key, signing_request
from vkprovider.kube.certificates.store import EARLIEST, LATEST, CertificateStore

LIFE = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    return CertificateStore(tmp_path / "pki" / "client.pem")


def certified(key: bytes) -> bytes:
    request = {"spec": {"request": b64encode(signing_request(key, "n", (), ())).decode()}}
    return Authority(FakeApiServer()).certify(request, T0 + LIFE)


def test_certificate_and_key_change_together_and_nobody_else_reads_them(store: CertificateStore) -> None:
    for _ in range(2):
        key = store.next_key()
        certificate = certified(key)
        assert store.keep(certificate, key, T0) == store.ends() == T0 + LIFE
        assert store.pair.read_bytes() == certificate + key
        (only,) = store.pair.parent.iterdir()
        assert (only, only.stat().st_mode & 0o777, only.parent.stat().st_mode & 0o777) == (store.pair, 0o600, 0o700)


def test_the_next_key_is_the_same_until_its_certificate_has_come(store: CertificateStore) -> None:
    key = store.next_key()
    assert CertificateStore(store.pair).next_key() == key
    store.keep(certified(key), key, T0)
    assert store.next_key() != key


@pytest.mark.parametrize("content", [b"", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"])
def test_a_next_key_that_cannot_be_read_is_replaced(store: CertificateStore, content: bytes) -> None:
    before = store.next_key()
    (path,) = store.pair.parent.iterdir()
    path.write_bytes(content)
    assert store.next_key() not in (before, content)


def test_a_certificate_of_no_use_is_refused(store: CertificateStore) -> None:
    key = store.next_key()
    with pytest.raises(ValueError, match="is for another key"):
        store.keep(certified(new_key()), key, T0)
    with pytest.raises(ValueError, match="does this machine's clock go right"):
        store.keep(certified(key), key, T0 + LIFE)
    with pytest.raises(ValueError, match="PEM"):
        store.keep(b"none", key, T0)
    assert not store.pair.exists()
    assert store.next_key() == key


def test_the_next_one_is_due_late_in_the_life_that_was_left(store: CertificateStore) -> None:
    """However far back the signer has dated its beginning."""
    key = store.next_key()
    store.keep(certified(key), key, T0 + LIFE / 2)
    came, left = T0 + LIFE / 2, LIFE / 2
    assert came + left * EARLIEST <= store.due() <= came + left * LATEST


def test_without_a_certificate_it_has_ended_and_is_due(store: CertificateStore) -> None:
    assert store.ends() == store.due() < T0
    key = store.next_key()
    store.keep(certified(key), key, T0)
    store.pair.write_bytes(b"broken")
    assert store.ends() == store.due() < T0
    store.keep(certified(key), key, T0)
    store.drop()
    store.drop()
    assert store.ends() < T0
