"""Registers the node, and keeps what the API server has of it true.

    registering --created or adopted--> reporting --found to be gone--> registering

The status is computed every 10 seconds and written only if it says something new, or for the last time 5 minutes ago:
the heartbeat is the Lease's business. pkg/kubelet/kubelet_node_status.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import ClassVar

import structlog

from vkprovider.core.actions import PodEvent
from vkprovider.core.admission import NodeView, node_view
from vkprovider.core.thresholds import pressures
from vkprovider.errors import ApiConflict, ApiError, ApiForbidden, ApiNotFound, VkError
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.client import MERGE, STRATEGIC_MERGE
from vkprovider.kube.insistence import insist
from vkprovider.kube.node.adoption import adoption_patch, changed, foreign_kubelet, offered_devices
from vkprovider.kube.node.api import Api, Json
from vkprovider.kube.node.conditions import (
    RUNTIME_DOWN,
    SHUTTING_DOWN,
    node_conditions,
    same_conditions,
    transitions,
    without_heartbeats,
)
from vkprovider.kube.node.object import MachineFacts, build_node, node_status, platform_labels, withheld_labels
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.reflector import Changed, Removed, Update
from vkprovider.kube.resources import NODES
from vkprovider.ports import WaitingClock

LOOK_SECONDS = 10.0
REPORT_SECONDS = 300.0
LONGEST_PAUSE = 7.0  # seconds between tries to register
RUNTIME_SILENCE_SECONDS = 30.0  # of the engine, after which the node is not ready (pkg/kubelet/kubelet.go)

Look = Callable[[], Awaitable[MachineFacts]]
Tell = Callable[[PodEvent], None]
Problems = Callable[[], Sequence[str]]

log = structlog.get_logger()


class NodeNameTaken(VkError):
    """Another kubelet has registered a node of this name."""

    reason: ClassVar[str] = "NodeNameTaken"


class NodeRegistrar:
    """The node's own entry. ``settings`` must have an ``internal_ip``.

    ``look`` shows the machine, or raises EngineError; ``problems`` are reasons, beside a silent engine, why the node
    is not ready, in the kubelet's words. ``tell`` takes events about the node, and must not block or raise.
    ``node`` is the Node as last seen, None while there is none; ``registered`` is set once the first status is known.
    """

    def __init__(
        self, api: Api, settings: NodeSettings, look: Look, clock: WaitingClock, tell: Tell, problems: Problems = tuple
    ) -> None:
        self.node: Json | None = None
        self.registered = asyncio.Event()
        self.shutting_down = False
        self.draining = False
        self._api = api
        self._settings = settings
        self._look = look
        self._clock = clock
        self._tell = tell
        self._problems = problems
        self._place = NODES.at(name=settings.name)
        self._facts: MachineFacts | None = None
        self._heard_at = 0.0  # when the engine was last heard of
        self._pressed_at: dict[str, float] = {}
        self._sent: Json | None = None  # the status that the API server has from us, without heartbeats
        self._sent_at = 0.0
        self._unschedulable = False
        self._stirred = asyncio.Event()
        self._reporting = asyncio.Lock()

    @property
    def uid(self) -> str:
        """The Node's, "" while there is none."""
        return str(self.node["metadata"]["uid"]) if self.node is not None else ""

    @property
    def view(self) -> NodeView:
        """The node as admission sees it, with what users have said of it. Known once it is ``registered``."""
        assert self._facts is not None
        node = self.node or build_node(self._facts, self._settings, [])
        return node_view(node, shutting_down=self.draining, unsafe_sysctls=self._settings.allowed_unsafe_sysctls)

    async def run(self) -> None:
        """Register, report, and register again if the Node is deleted; for ever."""
        name = self._settings.name
        registration = BackOff(f"registration of node {name}", self._clock, LONGEST_PAUSE)
        reports = BackOff(f"status of node {name}", self._clock, LONGEST_PAUSE)
        while True:
            await insist(self._register, registration)
            while self.node is not None:
                self._stirred.clear()
                await insist(self.report, reports)
                if self.node is not None:
                    self.registered.set()
                    await self._rest()

    async def follow(self, updates: AsyncIterator[Update]) -> None:
        """Take note of what a watch on the Node shows: others write to it, and it may be deleted by hand."""
        async for update in updates:
            if isinstance(update, Changed):
                self._seen((update.object,))
            elif isinstance(update, Removed):
                if update.object["metadata"]["uid"] == self.uid:
                    self._seen(())
            else:
                self._seen(update.objects)

    async def report(self) -> None:
        """Look at the machine, and write what is new. Raises ApiError."""
        async with self._reporting:
            if self.node is None:
                return
            if not self.shutting_down:
                await self._look_again()
            try:
                await self._write(self.node)
            except ApiNotFound:
                log.warning("the node has been deleted", node=self._settings.name)
                self.node = None

    def announce_shutdown(self) -> None:
        """Tell users that the node is going, its pods with it; admission lets none in from now on."""
        self.draining = True
        self._tell(PodEvent(type="Normal", reason="Shutdown", message="Shutdown manager detected shutdown event"))

    async def shut_down(self) -> None:
        """Have the node shown as not ready. Raises ApiError; waits for the API server as long as it takes."""
        self.shutting_down = True
        await self.report()

    def poke(self) -> None:
        """Have the status looked at soon."""
        self._stirred.set()

    def _seen(self, nodes: Sequence[Json]) -> None:
        """The Node as it is now, or none. One that was deleted and created anew is a new one."""
        if self.node is None:
            return
        same = [node for node in nodes if node["metadata"]["uid"] == self.uid]
        self.node = same[0] if same else None
        if self.node is None:
            log.warning("the node has been deleted or replaced", node=self._settings.name)
            self.poke()

    # --- registering ---------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        facts = self._facts = await self._look()
        self._heard_at = self._clock.monotonic()
        conditions = node_conditions((), self._under(facts), self._all_problems(), self._clock.now())
        node = build_node(facts, self._settings, conditions)
        events = [*transitions(self._settings.name, (), conditions)]
        try:
            self.node = await self._api.create(NODES.at(), node)
            self._sent_now(node["status"])
        except (ApiConflict, ApiForbidden) as refusal:  # it is there already, or may have been created for us
            self.node = await self._adopt(node, refusal)
            events = []  # the first report tells what has changed
        if not self.registered.is_set():
            events.insert(0, PodEvent(type="Normal", reason="Starting", message="Starting kubelet."))
            self._warn_of_withheld_labels()
        self._tell_all(events)

    async def _adopt(self, wanted: Json, refusal: ApiError) -> Json:
        try:
            existing = await self._api.get(self._place)
        except (ApiNotFound, ApiForbidden) as exc:
            raise (refusal if isinstance(refusal, ApiForbidden) else exc) from None
        if version := foreign_kubelet(existing):
            raise NodeNameTaken(
                f"node {self._settings.name} is registered by another kubelet ({version}): choose another --nodename, "
                f"or delete it if that one is gone: kubectl delete node {self._settings.name}"
            )
        self._sent = None
        patch = adoption_patch(existing, wanted, self._settings)
        return await self._api.patch(self._place, patch, MERGE) if patch else existing

    def _warn_of_withheld_labels(self) -> None:
        withheld = withheld_labels(self._settings.labels) if self._settings.node_restriction else ()
        if withheld:
            log.warning("a node may not give these labels to itself, and they are left out", labels=", ".join(withheld))

    # --- reporting -----------------------------------------------------------------------------------------------

    async def _look_again(self) -> None:
        try:
            self._facts = await self._look()
        except VkError as exc:
            log.warning("engine does not answer", error=str(exc))
        else:
            self._heard_at = self._clock.monotonic()

    async def _write(self, node: Json) -> None:
        facts = self._facts
        assert facts is not None
        status_before: Json = node.get("status") or {}
        before: Sequence[Json] = status_before.get("conditions") or ()
        conditions = node_conditions(before, self._under(facts), self._all_problems(), self._clock.now())
        status = node_status(facts, self._settings, conditions)
        wrong = changed(node["metadata"].get("labels") or {}, platform_labels(facts))
        if wrong:
            self._keep(await self._api.patch(self._place, {"metadata": {"labels": wrong}}, MERGE))
        gone = offered_devices(node) & (status_before.get("capacity") or {}).keys() - status["capacity"].keys()
        if self._is_new(status) or not same_conditions(before, conditions) or gone:
            place = self._place._replace(subresource="status")
            self._keep(await self._api.patch(place, _patch(status, gone), STRATEGIC_MERGE))
            self._sent_now(status)
        self._tell_all(transitions(self._settings.name, before, conditions))
        self._tell_of_others(node, facts)

    def _keep(self, node: Json) -> None:
        """The answer to a write, unless the watch has meanwhile shown that it was the last one."""
        if node["metadata"]["uid"] == self.uid:
            self.node = node

    def _is_new(self, status: Json) -> bool:
        overdue = self._clock.monotonic() - self._sent_at >= REPORT_SECONDS
        return overdue or self._sent != without_heartbeats(status)

    def _sent_now(self, status: Json) -> None:
        self._sent, self._sent_at = without_heartbeats(status), self._clock.monotonic()

    def _under(self, facts: MachineFacts) -> frozenset[str]:
        now, resources = self._clock.monotonic(), self._settings.resources
        found = pressures(resources.eviction_hard, facts.readings)
        self._pressed_at |= dict.fromkeys(found, now)
        lasting = (kind for kind, at in self._pressed_at.items() if now - at < resources.pressure_seconds)
        return found.union(lasting)

    def _all_problems(self) -> list[str]:
        silence = self._clock.monotonic() - self._heard_at
        down = [RUNTIME_DOWN] if silence >= RUNTIME_SILENCE_SECONDS else []
        return [*down, *self._problems(), *([SHUTTING_DOWN] if self.shutting_down else [])]

    def _tell_of_others(self, node: Json, facts: MachineFacts) -> None:
        """Events of what was done to the node: cordons, and a reboot since the last report."""
        name = self._settings.name
        unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
        if unschedulable != self._unschedulable:
            self._unschedulable = unschedulable
            reason = "NodeNotSchedulable" if unschedulable else "NodeSchedulable"
            self._tell(PodEvent(type="Normal", reason=reason, message=f"Node {name} status is now: {reason}"))
        booted = ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID")
        if booted and facts.boot_id and booted != facts.boot_id:
            message = f"Node {name} has been rebooted, boot id: {facts.boot_id}"
            self._tell(PodEvent(type="Warning", reason="Rebooted", message=message))

    def _tell_all(self, events: Iterable[PodEvent]) -> None:
        for event in events:
            self._tell(event)

    async def _rest(self) -> None:
        """Until it is time to look again, or somebody pokes."""
        timer = asyncio.ensure_future(self._clock.sleep(LOOK_SECONDS))
        poke = asyncio.ensure_future(self._stirred.wait())
        try:
            await asyncio.wait((timer, poke), return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            poke.cancel()


def _patch(status: Json, gone: Iterable[str]) -> Json:
    """For a strategic merge: conditions of others stay, and resources but those that are ``gone``. Addresses are
    replaced, for their key, the type, is not unique (component-helpers/node/util/status.go).
    """
    without = dict.fromkeys(gone)
    left = {field: {**status[field], **without} for field in ("capacity", "allocatable")}
    return {"status": {**status, **left, "addresses": [*status["addresses"], {"$patch": "replace"}]}}
