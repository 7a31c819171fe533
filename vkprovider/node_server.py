"""The node's API, put together: where it listens, whom it lets in, and which pods it knows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from vkprovider.errors import ApiForbidden, ApiNotFound
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import ApiClient
from vkprovider.kube.client_authorities import client_authorities
from vkprovider.kube.insistence import insist
from vkprovider.kube.node_settings import NodeSettings
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodKey, PodUID
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.server.admission import admit_api_server
from vkprovider.server.certificates import server_context, write_self_signed
from vkprovider.server.kubelet_api import KubeletApi
from vkprovider.server.serving import listen, serve

NOBODY = (
    "kubectl logs, exec, attach and port-forward will not work: nobody could be let in, for who signs the cluster's"
    " client certificates is not known. Name the file with --client-ca-file, or allow the node to get ConfigMap"
    " extension-apiserver-authentication in kube-system"
)
log = structlog.get_logger()


class WorkerIndex:
    """The pods that have workers, as a ``PodIndex``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def find(self, key: PodKey) -> Pod | None:
        named = [worker.pod for worker in self._dispatcher.workers.values() if worker.pod.key == key]
        return named[-1] if named else None  # the others are on their way out

    def status(self, uid: PodUID) -> Mapping[str, Any]:
        worker = self._dispatcher.workers.get(uid)
        return worker.status if worker is not None else {}


class NodeServer:
    """Listens from the start, so that the port can be registered; serves once it is known whom to let in.

    Raises ServerError where the port cannot be had.
    """

    def __init__(self, settings: NodeSettings, api: ApiClient, directory: Path, clock: WaitingClock) -> None:
        self._settings = settings
        self._api = api
        self._directory = directory
        self._clock = clock
        self._listener = listen(settings.port)
        self.port: int = self._listener.getsockname()[1]

    async def run(self, dispatcher: Dispatcher, engine: ContainerEngine) -> None:
        """Serve until cancelled. Raises ServerError where the named authorities are no certificates."""
        with self._listener:
            authorities = await self._authorities()
            if not authorities:
                log.warning(NOBODY)
                return
            api = KubeletApi(WorkerIndex(dispatcher), engine, self._clock, admit_api_server)
            context = await asyncio.to_thread(self._context, authorities)
            await serve(api.application(), self._listener, context)

    async def _authorities(self) -> str:
        """In PEM, "" where they cannot be known."""
        if self._settings.client_ca_file:
            return await asyncio.to_thread(Path(self._settings.client_ca_file).read_text)
        found = ""

        async def look() -> None:
            nonlocal found
            try:
                found = await client_authorities(self._api)
            except (ApiForbidden, ApiNotFound) as exc:
                log.info("the authorities of client certificates are not told", error=str(exc))

        await insist(look, BackOff("the authorities of client certificates", self._clock))
        return found

    def _context(self, authorities: str) -> ssl.SSLContext:
        path = self._directory / "kubelet-server.pem"
        write_self_signed(path, [self._settings.name, self._settings.internal_ip], self._clock.now())
        return server_context(path, authorities)
