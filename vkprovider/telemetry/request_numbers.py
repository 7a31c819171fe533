"""What is counted of the requests to the API server, under the names of client-go (tools/metrics)."""

from __future__ import annotations

from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.meter import Meter


class RequestNumbers:
    """To be told of each answer, or that there was none."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def answered(self, method: str, host: str, code: str, seconds: float) -> None:
        self._meter.count(c.REQUESTS, code, method, host)
        self._meter.observe(c.REQUEST_SECONDS, seconds, method, host)
