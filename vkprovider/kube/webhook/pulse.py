"""The sign of life of whoever serves the webhook, for those who stand by: a Lease that is renewed.

It decides nothing about who is asked: the configuration does. Where it may not be written, nobody steps in.
"""

from __future__ import annotations

from vkprovider.errors import ApiNotFound
from vkprovider.kube.client import MERGE, ApiClient, Json
from vkprovider.kube.node.api import LEASES
from vkprovider.kube.node.lease import micro_time
from vkprovider.ports import WaitingClock

NAME = "vkprovider-webhook"
BEAT_SECONDS = 5.0
SILENT_SECONDS = 15


class Pulse:
    """The Lease in ``namespace``; ``holder`` is what it calls this process."""

    def __init__(self, api: ApiClient, namespace: str, holder: str, clock: WaitingClock) -> None:
        self._api = api
        self._all = LEASES.at(namespace)
        self._place = LEASES.at(namespace, NAME)
        self._holder = holder
        self._clock = clock
        self._seen: str | None = None  # its version, "" where there is none
        self._since = 0.0

    async def beat(self) -> None:
        """Give a sign of life. Raises ApiError, ApiConflict where somebody was faster."""
        lease = await self._find()
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": SILENT_SECONDS,
            "renewTime": micro_time(self._clock.now()),
        }
        if lease is None:
            new = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}, "spec": spec}
            await self._api.create(self._all, new)
            return
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        await self._api.patch(self._place, {"metadata": version, "spec": spec}, MERGE)

    async def has_stopped(self) -> bool:
        """Whether nobody has given one for so long, by this machine's clock and since it was asked first.

        Raises ApiError.
        """
        before, self._seen = self._seen, None  # while nobody could be asked, nobody could give one
        lease = await self._find()
        now = self._clock.monotonic()
        self._seen = lease["metadata"]["resourceVersion"] if lease is not None else ""
        if self._seen != before:
            self._since = now
        given = lease is not None and "renewTime" in (lease.get("spec") or {})
        return given and now - self._since >= SILENT_SECONDS

    async def _find(self) -> Json | None:
        try:
            return await self._api.get(self._place)
        except ApiNotFound:
            return None
