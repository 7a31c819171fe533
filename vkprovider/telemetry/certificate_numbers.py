"""How long the node's certificates last, and how often their renewal failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from vkprovider.ports import Clock
from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.meter import Meter

Ends = Callable[[], datetime | None]
Failures = Callable[[], int]


class CertificateNumbers:
    """Shows what it is told to follow: the certificates that the node has."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._followed: list[tuple[c.Series, Ends, c.Series, Failures]] = []

    def follow_client(self, ends: Ends, failures: Failures) -> None:
        """The certificate by which the API server knows the node."""
        self._followed.append((c.CLIENT_TTL, ends, c.CLIENT_RENEW_ERRORS, failures))

    def follow_server(self, ends: Ends, failures: Failures) -> None:
        """The certificate that the node's API shows."""
        self._followed.append((c.SERVER_TTL, ends, c.SERVER_RENEW_ERRORS, failures))

    def take_stock(self) -> None:
        """Set the numbers as they are now."""
        for left, ends, errors, failures in self._followed:
            end = ends()
            self._meter.put(left, {(): (end - self._clock.now()).total_seconds()} if end is not None else {})
            self._meter.put(errors, {(): failures()})
