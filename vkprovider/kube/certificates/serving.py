"""The certificate by which clients know the node's API: asked for as a node may, kept, renewed in time.

pkg/kubelet/certificate/kubelet.go. Nobody approves such a request by default: that takes an administrator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vkprovider.kube.backoff import BackOff
from vkprovider.kube.certificates.renewal import renew, until_due
from vkprovider.kube.certificates.signing import Signers, node_server
from vkprovider.kube.certificates.store import CertificateStore
from vkprovider.kube.insistence import insist
from vkprovider.ports import WaitingClock

LONGEST_PAUSE = 60.0  # seconds between looks at a request that waits for approval, perhaps for ever


class ServingCertificate:
    """For the node ``name`` at ``hosts`` (names and addresses), with its key in the file ``pair`` once there is one."""

    def __init__(self, pair: Path, name: str, hosts: Sequence[str], clock: WaitingClock) -> None:
        self.store = CertificateStore(pair)
        self._wanted = node_server(name, hosts)
        self._clock = clock
        self._backoff = BackOff(f"serving certificate of node {name}", clock, LONGEST_PAUSE)

    async def keep(self, api: Signers) -> None:
        """Have one, for ever. ``api`` goes by the certificate of the same node: its signer gives it to nobody else."""
        await asyncio.to_thread(self._drop_of_elsewhere)
        while True:
            await until_due(self.store, self._clock)
            await insist(partial(renew, api, self._wanted, self.store, self._clock), self._backoff)

    def _drop_of_elsewhere(self) -> None:
        """One for addresses that the node no longer has is of no use."""
        if self.store.hosts() != set(self._wanted.hosts):
            self.store.drop()
