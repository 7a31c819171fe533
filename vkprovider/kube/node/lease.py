"""The node's heartbeat: a Lease that is renewed every 10 seconds.

A node whose Lease is not renewed for 40 to 50 seconds is taken for dead. component-helpers/apimachinery/lease and
pkg/kubelet/util/nodelease.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from vkprovider.errors import ApiNotFound
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE
from vkprovider.kube.insistence import insist
from vkprovider.kube.node.api import LEASES, Api, Json
from vkprovider.ports import WaitingClock

NAMESPACE = "kube-node-lease"
DURATION_SECONDS = 40
RENEWAL_SECONDS = 10.0
LONGEST_PAUSE = 7.0  # seconds between tries


class NodeLease:
    """The Lease of the node ``name``. ``node_uid`` tells which Node it is of, "" while there is none.

    It belongs to its Node, and goes with it: then it is created anew for the next one.
    """

    def __init__(self, api: Api, name: str, node_uid: Callable[[], str], clock: WaitingClock) -> None:
        self._api = api
        self._name = name
        self._node_uid = node_uid
        self._clock = clock
        self._place = LEASES.at(NAMESPACE, name)
        self._lease: Json | None = None  # as it was after the last renewal, which saves asking for it

    async def run(self) -> None:
        """Renew for ever."""
        backoff = BackOff(f"lease of node {self._name}", self._clock, LONGEST_PAUSE)
        while True:
            await insist(self.renew, backoff)
            await self._clock.sleep(RENEWAL_SECONDS)

    async def renew(self) -> None:
        """One heartbeat. Raises ApiError; after ApiConflict the next one begins with a look at the Lease."""
        known, self._lease = self._lease, None
        try:
            lease = known or await self._api.get(self._place)
            self._lease = await self._api.patch(self._place, self._renewal(lease), MERGE)
        except ApiNotFound:
            if self._node_uid():
                self._lease = await self._api.create(LEASES.at(NAMESPACE), self._new())

    def _new(self) -> Json:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": NAMESPACE, "ownerReferences": [self._owner()]},
            "spec": self._spec(),
        }

    def _renewal(self, lease: Mapping[str, Any]) -> Json:
        """Bound to the version it renews: since 1.35 the API server takes no other write of a Lease."""
        metadata: Json = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        owners = [owner["uid"] for owner in lease["metadata"].get("ownerReferences") or ()]
        if self._node_uid() and owners != [self._node_uid()]:
            metadata["ownerReferences"] = [self._owner()]
        return {"metadata": metadata, "spec": self._spec()}

    def _owner(self) -> Json:
        return {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": self._node_uid()}

    def _spec(self) -> Json:
        return {
            "holderIdentity": self._name,
            "leaseDurationSeconds": DURATION_SECONDS,
            "renewTime": micro_time(self._clock.now()),
        }


def micro_time(at: datetime) -> str:
    """A metav1.MicroTime, in UTC."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
