"""The node's API, put together: whom it lets in, which pods it knows, and what it shows of them."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog
from aiohttp import web

from vkprovider import __version__
from vkprovider.errors import EngineError, VkError
from vkprovider.kube.access_reviews import ClusterReviews
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.certificates.client_authorities import client_authorities
from vkprovider.kube.certificates.serving import ServingCertificate
from vkprovider.kube.client import ApiClient
from vkprovider.kube.insistence import insist
from vkprovider.kube.node.kubelet_configuration import kubelet_configuration
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.secret_files import write_secret
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodKey, PodUID
from vkprovider.node.dispatcher import Dispatcher
from vkprovider.node.probe_tally import ProbeTally
from vkprovider.ports import ContainerEngine, WaitingClock
from vkprovider.server.access import Admission
from vkprovider.server.certificates import Pair, write_self_signed
from vkprovider.server.kubelet_api import KubeletApi, read_only
from vkprovider.server.reads import ALWAYS_WELL, Check, Metrics, Numbers, Reads
from vkprovider.server.refusals import ServerError
from vkprovider.server.serving import serve
from vkprovider.server.tls import ServerTls
from vkprovider.telemetry.cadvisor_metrics import cadvisor_metrics
from vkprovider.telemetry.exposition import PROBE_LABELS, health_metrics, node_metrics, probe_metrics
from vkprovider.telemetry.node_meter import NodeMeter
from vkprovider.telemetry.resource_metrics import resource_metrics

ISSUED, SELF_SIGNED = "kubelet-serving.pem", "kubelet-server.pem"  # in the node's directory
FOLLOW_SECONDS = 600.0
LOOPBACK = "127.0.0.1"
SILENT_SECONDS = 300.0  # after which the loop counts as stuck (pkg/kubelet/server/server.go syncLoopHealthCheck)
TOO_LONG = "sync Loop took longer than expected"
CONTAINER_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
UNKNOWN = (
    "the node's API shows a certificate that nobody has signed: API servers accept it unless they are told to verify,"
    " Prometheus and metrics-server do not; name one with --tls-cert-file and --tls-private-key-file, or be a node of"
    " its own (--bootstrap-kubeconfig)"
)
NEED = "kubectl logs, exec and port-forward need to know who signs the cluster's client certificates (--client-ca-file)"

T = TypeVar("T")
log = structlog.get_logger()


class WorkerIndex:
    """The pods that have workers, as a ``PodIndex``."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def all(self) -> list[Pod]:
        return [worker.pod for worker in self._dispatcher.workers.values()]

    def find(self, key: PodKey) -> Pod | None:
        named = [worker.pod for worker in self._dispatcher.workers.values() if worker.pod.key == key]
        return named[-1] if named else None  # the others are on their way out

    def status(self, uid: PodUID) -> Mapping[str, Any]:
        worker = self._dispatcher.workers.get(uid)
        return worker.status if worker is not None else {}


class Shown(NamedTuple):
    """What there is to show of a node."""

    dispatcher: Dispatcher
    engine: ContainerEngine
    tally: ProbeTally
    meter: NodeMeter
    numbers: Numbers


class NodeMetrics:
    """What Prometheus is told of the node, by path."""

    def __init__(self, node: str, shown: Shown) -> None:
        self._node = node
        self._usages = shown.numbers.usages
        self._volumes = shown.numbers.volumes
        self._meter = shown.meter
        self._dispatcher = shown.dispatcher
        self._tally = shown.tally

    @property
    def by_path(self) -> Metrics:
        return {
            "/metrics": self._of_node,
            "/metrics/probes": self._of_probes,
            "/metrics/resource": self._of_resources,
            "/metrics/cadvisor": self._of_containers,
        }

    async def _of_node(self) -> bytes:
        statuses = [worker.status for worker in self._dispatcher.workers.values()]
        containers = [each for status in statuses for key in CONTAINER_STATUSES for each in status.get(key, ())]
        phases = Counter(status.get("phase", "Pending") for status in statuses)
        states = Counter(state for each in containers for state in each.get("state", ()))
        self._meter.show(self._node, __version__, phases, states)
        self._meter.show_claims(await self._volumes.claims())
        return node_metrics(self._meter)

    async def _of_resources(self) -> bytes:
        return await asyncio.to_thread(resource_metrics, await _if_known(self._usages.usage()))

    async def _of_containers(self) -> bytes:
        usage, disks = await _if_known(self._usages.usage()), await _if_known(self._usages.disk_usage())
        return await asyncio.to_thread(cadvisor_metrics, usage, disks)

    async def _of_probes(self) -> bytes:
        totals = self._tally.totals.items()
        return probe_metrics({tuple(str(getattr(labels, name)) for name in PROBE_LABELS): n for labels, n in totals})


async def _if_known(asked: Awaitable[T]) -> T | None:
    try:
        return await asked
    except EngineError as exc:
        log.warning("what containers use is not known", error=str(exc))
        return None


class NodeServer:
    """Serves at ``listener`` once it is known whom to let in. ``directory`` is the node's, for certificates."""

    def __init__(
        self,
        settings: NodeSettings,
        api: ApiClient,
        directory: Path,
        listener: socket.socket,
        clock: WaitingClock,
        shown: Shown,
    ) -> None:
        self._settings = settings
        self._api = api
        self._directory = directory
        self._listener = listener
        self._clock = clock
        self._shown = shown

    async def run(self) -> None:
        """Serve until cancelled. Raises ServerError where the files that were named cannot be used."""
        shown = self._shown
        loop = Check("syncloop", lambda: TOO_LONG if shown.dispatcher.silence > SILENT_SECONDS else "")

        async def health() -> bytes:
            return health_metrics(dict.fromkeys(ALWAYS_WELL, True) | {loop.name: not loop.problem()})

        metrics = {**NodeMetrics(self._settings.name, shown).by_path, "/metrics/slis": health}
        reads = Reads(metrics, shown.numbers, kubelet_configuration(self._settings), (loop,))
        admission = Admission(ClusterReviews(self._api, self._settings.name, self._clock), self._clock)
        api = KubeletApi(WorkerIndex(shown.dispatcher), shown.engine, self._clock, admission, reads)
        async with self._read_only_port(reads):
            await self._serve(api)

    async def _serve(self, api: KubeletApi) -> None:
        authorities = await self._authorities()
        tls = await asyncio.to_thread(self._tls, authorities)
        certificate = self._certificate()
        self._shown.meter.certificates.follow_server(lambda: tls.ends, lambda: certificate.store.failures)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(api.application(), self._listener, tls))
            group.create_task(self._follow(authorities))
            if self._asks:
                group.create_task(certificate.keep(self._api))

    @asynccontextmanager
    async def _read_only_port(self, reads: Reads) -> AsyncIterator[None]:
        """Serve metrics to this machine, to anybody, where that is asked for (``--read-only-port``)."""
        port = self._settings.read_only_port
        if not port:
            yield
            return
        runner = web.AppRunner(read_only(reads), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as exc:
            raise ServerError(f"port {port} cannot be listened on: {exc.strerror} (--read-only-port)") from exc
        try:
            yield
        finally:
            await runner.cleanup()

    async def _authorities(self) -> Path:
        """The file of those who sign clients' certificates; as long as it takes."""
        if self._settings.client_ca_file:
            return Path(self._settings.client_ca_file)
        path = self._directory / "client-authorities.pem"

        async def look() -> None:
            await self._fetch(path)

        await insist(look, BackOff(NEED, self._clock))
        return path

    async def _follow(self, authorities: Path) -> None:
        """Have the file as the API server publishes it, for ever; what it said last goes on where that fails."""
        while not self._settings.client_ca_file:
            await self._clock.sleep(FOLLOW_SECONDS)
            try:
                await self._fetch(authorities)
            except VkError as exc:
                log.warning("the authorities of client certificates are not known anew", error=str(exc))

    async def _fetch(self, path: Path) -> None:
        found = await client_authorities(self._api)
        try:
            await asyncio.to_thread(_keep, path, found.encode())
        except OSError as exc:  # a full disk ends no node
            raise ServerError(f"the authorities of client certificates cannot be kept: {exc}") from exc

    @property
    def _asks(self) -> bool:
        """Whether the node asks the cluster for its certificate: the signer gives them to nodes alone."""
        return self._settings.node_restriction and not self._settings.tls_cert_file

    def _certificate(self) -> ServingCertificate:
        return ServingCertificate(self._directory / ISSUED, self._settings.name, self._hosts(), self._clock)

    def _hosts(self) -> list[str]:
        return [self._settings.name, self._settings.internal_ip]

    def _tls(self, authorities: Path) -> ServerTls:
        settings = self._settings
        if settings.tls_cert_file:
            named = Pair(Path(settings.tls_cert_file), Path(settings.tls_private_key_file))
            return ServerTls([named], authorities, self._clock)
        issued, own = self._directory / ISSUED, self._directory / SELF_SIGNED
        write_self_signed(own, self._hosts(), self._clock.now())
        if not self._asks:
            log.warning(UNKNOWN)
        return ServerTls([Pair(issued, issued)] * self._asks + [Pair(own, own)], authorities, self._clock)


def _keep(path: Path, content: bytes) -> None:
    """Have the file say so, and be another one only if it said something else."""
    if not path.exists() or path.read_bytes() != content:
        write_secret(path, content)
