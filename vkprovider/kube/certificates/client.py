"""The certificate by which the API server knows this node: asked for with a bootstrap token, kept, renewed in time.

pkg/kubelet/certificate/bootstrap, client-go util/certificate (the manager). Unlike a kubelet this does not end when its
certificate has expired, as after a long sleep: it asks for the next one with the bootstrap token again.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from vkprovider.errors import ApiUnauthorized
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.certificates.renewal import renew, until_due
from vkprovider.kube.certificates.signing import node_client
from vkprovider.kube.certificates.store import CertificateStore
from vkprovider.kube.client import ApiClient
from vkprovider.kube.insistence import insist
from vkprovider.kube.secret_files import write_secret
from vkprovider.ports import WaitingClock

LONGEST_PAUSE = 5.0  # seconds between looks at a request that waits for approval


class ClientCertificate:
    """The certificate of the node ``name``, kept in ``directory``. ``bootstrap`` is the kubeconfig to ask for it with.

    ``kubeconfig`` is the file to go by once there is one.
    """

    def __init__(self, directory: Path, name: str, bootstrap: str, clock: WaitingClock) -> None:
        self.kubeconfig = str(directory / "kubeconfig.json")
        self.store = CertificateStore(directory / "client.pem")
        self._wanted = node_client(name)
        self._from = bootstrap
        self._bootstrap = ApiClient(clock, bootstrap)
        self._clock = clock
        self._backoff = BackOff(f"certificate of node {name}", clock, LONGEST_PAUSE)

    async def obtain(self) -> None:
        """Return when there is one that is valid, asking for it if need be for as long as it takes.

        Raises ApiUnauthorized where there is none and ``bootstrap`` is no kubeconfig; the message says why.
        """
        try:
            await asyncio.to_thread(self._follow_bootstrap)
        except ApiUnauthorized:
            if not await self._is_valid():
                raise  # else it has served, and may have been removed
        if not await self._is_valid():
            await insist(partial(self._renew, self._bootstrap), self._backoff)

    async def keep(self, api: ApiClient) -> None:
        """Have it renewed in time, for ever. ``api`` goes by ``kubeconfig``, and takes up each new one at once."""
        while True:
            await until_due(self.store, self._clock)
            await insist(partial(self._renew_as_can_be, api), self._backoff)
            api.credentials_renewed()

    async def aclose(self) -> None:
        await self._bootstrap.aclose()

    async def _renew_as_can_be(self, api: ApiClient) -> None:
        await self._renew(api if await self._is_valid() else self._bootstrap)

    async def _renew(self, api: ApiClient) -> None:
        await renew(api, self._wanted, self.store, self._clock)

    async def _is_valid(self) -> bool:
        return await asyncio.to_thread(self.store.ends) > self._clock.now()

    def _follow_bootstrap(self) -> None:
        """Have the kubeconfig lead to where the bootstrap's does. A certificate of another cluster is dropped."""
        from vkprovider.kube.access_source import Source  # noqa: PLC0415

        path = Path(self.kubeconfig)
        wanted = msgspec.json.format(msgspec.json.encode(self._config(Source(self._from, "").cluster())))
        if path.exists() and path.read_bytes() != wanted:
            self.store.drop()
        write_secret(path, wanted)

    def _config(self, cluster: dict[str, Any]) -> dict[str, Any]:
        name, pair = self._wanted.common_name, str(self.store.pair)
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": "cluster", "user": name}}],
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": name, "user": {"client-certificate": pair, "client-key": pair}}],
        }
