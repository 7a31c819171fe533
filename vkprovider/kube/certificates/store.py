"""A certificate with its key on disk, and the key of the one that is to follow it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from vkprovider.kube.backoff import share
from vkprovider.kube.secret_files import write_secret

EARLIEST, LATEST = 0.7, 0.9  # of its life, when a certificate is renewed (client-go util/certificate jitteryDuration)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class CertificateStore:
    """``pair`` is the file of certificate and key, in one so that they change together. All methods block.

    ``known_end`` is when the certificate ends that was seen there last, None where there was none; ``failures`` counts
    the attempts to have another one.
    Only whoever needs a certificate has the package ``cryptography``, hence the late imports.
    """

    def __init__(self, pair: Path) -> None:
        self.pair = pair
        self.known_end: datetime | None = None
        self.failures = 0
        self._next_key = pair.with_suffix(".next-key")

    def next_key(self) -> bytes:
        """The key to ask a certificate for: the same one until that has come, across restarts."""
        from vkprovider.kube.certificates.key_pair import new_key, public_half  # noqa: PLC0415

        try:
            key = self._next_key.read_bytes()
            public_half(key)
        except (FileNotFoundError, ValueError):
            key = new_key()
            write_secret(self._next_key, key)
        return key

    def keep(self, certificate: bytes, key: bytes, now: datetime) -> datetime:
        """Replace the pair; says when the new one ends. Raises ValueError where it is of no use."""
        from vkprovider.kube.certificates.key_pair import expiry  # noqa: PLC0415

        ends = expiry(certificate, key)
        if ends <= now:
            raise ValueError(f"it has ended at {ends.isoformat()}; does this machine's clock go right?")
        write_secret(self.pair, certificate.rstrip() + b"\n" + key)
        os.utime(self.pair, (now.timestamp(), now.timestamp()))
        self._next_key.unlink(missing_ok=True)
        self.known_end = ends
        return ends

    def ends(self) -> datetime:
        """When the present certificate ends; long ago where there is none."""
        from vkprovider.kube.certificates.key_pair import expiry  # noqa: PLC0415

        try:
            content = self.pair.read_bytes()
            self.known_end = expiry(content, content)
        except (FileNotFoundError, ValueError):
            self.known_end = None
        return self.known_end or _LONG_AGO

    def hosts(self) -> set[str]:
        """The names and addresses that the present certificate is for; none where there is none."""
        from vkprovider.kube.certificates.key_pair import hosts  # noqa: PLC0415

        try:
            return hosts(self.pair.read_bytes())
        except (FileNotFoundError, ValueError):
            return set()

    def due(self) -> datetime:
        """When to ask for the next one: late in the life that this one had left when it came.

        Where signers date certificates back that is not the life it says itself. Spread, so that not all nodes of a
        cluster come at once.
        """
        ends = self.ends()
        if ends == _LONG_AGO:
            return ends
        came = datetime.fromtimestamp(self.pair.stat().st_mtime, UTC)
        return came + (ends - came) * (EARLIEST + (LATEST - EARLIEST) * share(f"{self.pair} {ends}"))

    def drop(self) -> None:
        """Have no certificate."""
        self.pair.unlink(missing_ok=True)
