"""All that a node counts, in one place: its parts are given what they are to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from vkprovider.core.phase import RUNNING
from vkprovider.model.usage import ClaimName, FileSystem
from vkprovider.ports import Clock, ContainerEngine
from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.certificate_numbers import CertificateNumbers
from vkprovider.telemetry.engine_calls import measured
from vkprovider.telemetry.meter import Meter
from vkprovider.telemetry.pod_numbers import PodNumbers
from vkprovider.telemetry.request_numbers import RequestNumbers
from vkprovider.telemetry.step_numbers import StepNumbers

_OF_CLAIMS: tuple[tuple[c.Series, Callable[[FileSystem], float]], ...] = (
    (c.CLAIM_CAPACITY, lambda system: system.capacity),
    (c.CLAIM_AVAILABLE, lambda system: system.available),
    (c.CLAIM_USED, lambda system: system.used),
    (c.CLAIM_INODES, lambda system: system.inodes),
    (c.CLAIM_INODES_FREE, lambda system: system.inodes_free),
    (c.CLAIM_INODES_USED, lambda system: system.inodes_used),
)


class NodeMeter(Collector):
    """``pods`` is a ``Watcher``, ``steps`` a ``Stopwatch``, and ``requests`` hears of the API server's answers."""

    def __init__(self, clock: Clock) -> None:
        self._meter = Meter()
        self._clock = clock
        self.pods = PodNumbers(self._meter)
        self.steps = StepNumbers(self._meter)
        self.requests = RequestNumbers(self._meter)
        self.certificates = CertificateNumbers(self._meter, clock)

    def show(self, node: str, version: str, pods: Mapping[str, int], containers: Mapping[str, int]) -> None:
        """The node at this moment: its pods by phase, their containers by state in the words of statuses."""
        self._meter.put(c.NODE_NAME, {(node,): 1})
        self._meter.put(c.BUILD, {(version,): 1})
        self._meter.put(c.PODS, {(phase,): count for phase, count in pods.items()})
        self._meter.put(c.RUNNING_PODS, {(): pods.get(RUNNING, 0)})
        self._meter.put(c.RUNNING_CONTAINERS, {(state,): count for state, count in containers.items()})

    def show_claims(self, systems: Mapping[ClaimName, FileSystem]) -> None:
        """The file systems of the claims that pods have."""
        for series, read in _OF_CLAIMS:
            self._meter.put(series, {claim: read(system) for claim, system in systems.items()})

    def of(self, engine: ContainerEngine) -> ContainerEngine:
        """The engine, counted."""
        return measured(engine, self._meter, self._clock)

    def collect(self) -> Iterator[Metric]:
        self.pods.take_stock()
        self.certificates.take_stock()
        return self._meter.collect()
