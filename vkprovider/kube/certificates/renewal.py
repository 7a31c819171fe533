"""Certificates that are asked for, kept, and renewed in time (client-go util/certificate, the manager)."""

from __future__ import annotations

import asyncio

import structlog

from vkprovider.errors import VkError
from vkprovider.kube.certificates.signing import CertificateNotIssued, Signers, Wanted, sign
from vkprovider.kube.certificates.store import CertificateStore
from vkprovider.ports import WaitingClock

LOOK_SECONDS = 60.0  # while a machine sleeps, the clock that waits stands still, but certificates grow older
log = structlog.get_logger()


async def until_due(store: CertificateStore, clock: WaitingClock) -> None:
    """Return when the next certificate is to be asked for."""
    due = await asyncio.to_thread(store.due)
    while (left := (due - clock.now()).total_seconds()) > 0:
        await clock.sleep(min(left, LOOK_SECONDS))


async def renew(api: Signers, wanted: Wanted, store: CertificateStore, clock: WaitingClock) -> None:
    """Have a new certificate in the store. Raises ApiError and CertificateNotIssued: then come again."""
    try:
        await _renew(api, wanted, store, clock)
    except VkError:
        store.failures += 1
        raise


async def _renew(api: Signers, wanted: Wanted, store: CertificateStore, clock: WaitingClock) -> None:
    try:
        key = await asyncio.to_thread(store.next_key)
        certificate = await sign(api, wanted, key, clock)
        ends = await asyncio.to_thread(store.keep, certificate, key, clock.now())
    except OSError as exc:  # a full disk ends no node
        raise CertificateNotIssued(f"the certificate cannot be kept: {exc}") from exc
    except ValueError as exc:
        raise CertificateNotIssued(f"the certificate that was issued cannot be used: {exc}") from exc
    log.info("certificate received", user=wanted.common_name, signer=wanted.signer, ends=ends.isoformat())
