"""Keys of pods with certificates for them, as long as their pods live: in this process's memory, and in their volumes.

::

    new key ──▶ request ──▶ signer decides ──▶ issued ──▶ until it is due ──▶ new key, while the old one goes on
                   ▲             │    │
                   └── deleted ──┘    └──▶ denied, failed: that is final

pkg/kubelet/podcertificate/podcertificatemanager.go: as there, the process after this one asks anew, and until it has
an answer the files stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog

from vkprovider.core.pod_certificates import NOT_YET, Issued, Refused, credential, wanted_credential
from vkprovider.errors import ApiError
from vkprovider.kube.backoff import PATIENT_SECONDS, BackOff
from vkprovider.kube.certificates.renewal import LOOK_SECONDS
from vkprovider.kube.certificates.signing import CertificateNotIssued
from vkprovider.kube.references.certificate_requests import CertificateRequests
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID
from vkprovider.model.volume import KEY_TYPES, CertificateProjection
from vkprovider.ports import WaitingClock

PATIENCE_SECONDS = 2.0  # with a signer, from the start on, before the volume fails and is tried again

Changed = Callable[[ObjectRef], None]
log = structlog.get_logger()


class PodCertificates:
    """The credentials of all pods of a node."""

    def __init__(self, requests: CertificateRequests, clock: WaitingClock) -> None:
        self._requests = requests
        self._clock = clock
        self._held: dict[PodUID, dict[ObjectRef, _Credential]] = {}

    async def get(self, ref: ObjectRef, pod: Pod) -> Mapping[str, Any]:
        """See ``core.pod_certificates.credential``. Raises CertificateNotIssued, which may pass."""
        held = self._held.get(pod.uid, {}).get(ref)
        if held is None:
            raise CertificateNotIssued(NOT_YET)
        return await held.get()

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], changed: Changed) -> None:
        """Have these credentials, and keep no others for the pod; ``changed`` hears of each that is another one."""
        held = self._held.pop(pod.uid, {})
        for ref in held.keys() - refs:
            held.pop(ref).task.cancel()
        for ref in refs:
            if ref not in held:
                held[ref] = _Credential(ref, pod, self._requests, self._clock)
            held[ref].changed = changed
        if held:
            self._held[pod.uid] = held

    async def aclose(self) -> None:
        """Forget them all."""
        tasks = [credential.task for held in self._held.values() for credential in held.values()]
        self._held.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Credential:
    """One credential, from its first request on, in a task of its own."""

    changed: Changed

    def __init__(self, ref: ObjectRef, pod: Pod, requests: CertificateRequests, clock: WaitingClock) -> None:
        self._ref = ref
        self._pod = pod
        self._requests = requests
        self._clock = clock
        self._raw: Mapping[str, Any] | None = None
        self._refusal = ""
        self._waits_for = ""
        self._decided = asyncio.Event()
        loop, name = asyncio.get_running_loop(), f"certificate {ref.name} of {pod.key}"
        self._patient_until = loop.time() + PATIENCE_SECONDS
        self.task = loop.create_task(self._run(wanted_credential(pod, ref)), name=name)

    async def get(self) -> Mapping[str, Any]:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._patient_until):
                await self._decided.wait()
        if self._refusal:
            raise CertificateNotIssued(self._refusal)
        if self._raw is None:
            raise CertificateNotIssued(f"{NOT_YET}: {self._waits_for}" if self._waits_for else NOT_YET)
        return self._raw

    async def _run(self, source: CertificateProjection) -> None:
        if source.key_type not in KEY_TYPES:
            self._refuse(f'unknown key type "{source.key_type}"')
            return
        while True:
            key = await self._requests.new_key(source.key_type)
            match await self._obtain(source, key):
                case Refused(message=message):
                    self._refuse(message)
                    return
                case Issued(chain=chain, renew_at=renew_at):
                    log.info("certificate received", pod=str(self._pod.key), signer=source.signer_name)
                    self._raw = credential(key.decode(), chain)
                    self._tell()
                    await self._until(renew_at)

    async def _obtain(self, source: CertificateProjection, key: bytes) -> Issued | Refused:
        backoff = BackOff(f"certificate of pod {self._pod.key}", self._clock, PATIENT_SECONDS)
        while True:
            try:
                place = await self._requests.create(self._pod, source, key)
                self._waits_for = f"{place} waits for its signer, {source.signer_name}"
                return await self._requests.answer(place)
            except ApiError as exc:
                self._waits_for = str(exc)
                await backoff.failed(exc)

    def _refuse(self, message: str) -> None:
        self._refusal = message
        self._tell()

    def _tell(self) -> None:
        self._decided.set()
        self.changed(self._ref)

    async def _until(self, due: datetime) -> None:
        """However far ahead this machine's clock is, no signer is asked more often than once a minute."""
        await self._clock.sleep(LOOK_SECONDS)
        while (left := (due - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(min(left, LOOK_SECONDS))
