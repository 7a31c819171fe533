"""The UsageSource port: what containers use, from their cgroups where these can be read, else from the engine.

It costs one call of the engine for all containers each time, and one for each container in its life; where cgroups
cannot be read, one for each container each time. What is read is kept: those who ask soon after get the same.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from vkprovider.core.rates import Rates, Tick, former
from vkprovider.engine.cgroups import Cgroup, Cgroups
from vkprovider.engine.convert import instant
from vkprovider.engine.engine_process import process_id
from vkprovider.engine.machine_files import MachineFiles
from vkprovider.engine.stats_answers import has_own_network, reading
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineNotFound
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import ContainerUsage, MachineUsage, ProcessUsage, Reading, RunningContainer, Usage
from vkprovider.ports import WaitingClock

KEPT_SECONDS = 10.0  # cadvisor's housekeeping interval in a kubelet
APART_SECONDS = 1.0  # two readings that a rate can be told from
STALE_SECONDS = 90.0  # before which a reading says nothing of how it is now
SELF, ENGINE = "kubelet", "runtime"  # the names of summaries

MACHINE, INIT = "machine", 1

Timed = TypeVar("Timed", MachineUsage, ProcessUsage)


class Inspected(NamedTuple):
    """What does not change as long as a container runs. ``cgroup`` None where it cannot be seen."""

    started_at: datetime
    cgroup: Cgroup | None
    host_config: Mapping[str, Any]
    log_path: str
    upper_dir: str


class _Told(NamedTuple):
    """What a container uses at a moment, which two clocks tell; None where it has just ended."""

    id: ContainerID
    reading: Reading | None
    tick: float
    at: datetime


class _Look(NamedTuple):
    """One reading of everything."""

    at: float
    usage: Usage
    rates: Rates


class EngineUsage:
    """``running`` lists the containers; ``socket_path`` is the engine's, "" where it is reached over the network."""

    def __init__(
        self,
        running: Callable[[], Awaitable[tuple[RunningContainer, ...]]],
        unary: Unary,
        clock: WaitingClock,
        machine: MachineFiles,
        cgroups: Cgroups,
        socket_path: str = "",
    ) -> None:
        self._running = running
        self._unary = unary
        self._clock = clock
        self._machine = machine
        self._cgroups = cgroups
        self._socket_path = socket_path
        self._inspected: dict[ContainerID, Inspected] = {}
        self._last: _Look | None = None
        self._lock = asyncio.Lock()

    async def usage(self) -> Usage:
        """Two readings a second apart where there is none before to tell rates from."""
        async with self._lock:
            if self._age() >= KEPT_SECONDS:
                if self._age() >= STALE_SECONDS:
                    self._last = await self._look(None)
                    await self._clock.sleep(APART_SECONDS)
                self._last = await self._look(self._last)
            assert self._last is not None
            return self._last.usage

    async def containers(self) -> Mapping[ContainerID, tuple[RunningContainer, Inspected]]:
        """All that run now and are known well. Raises EngineError."""
        found = await self._running()
        for gone in self._inspected.keys() - {each.id for each in found}:
            del self._inspected[gone]
        fresh = [each.id for each in found if each.id not in self._inspected]
        for container_id, inspected in zip(fresh, await asyncio.gather(*map(self._inspect, fresh)), strict=True):
            if inspected is not None:
                self._inspected[container_id] = inspected
        return {each.id: (each, self._inspected[each.id]) for each in found if each.id in self._inspected}

    def _age(self) -> float:
        return self._clock.monotonic() - self._last.at if self._last is not None else float("inf")

    async def _inspect(self, container_id: ContainerID) -> Inspected | None:
        """None where it runs no more."""
        try:
            answer = await self._unary.call("GET", f"/containers/{container_id}/json")
        except EngineNotFound:
            return None
        started_at = instant(answer["State"].get("StartedAt"))
        if not answer["State"].get("Running") or started_at is None:
            return None
        config = answer["HostConfig"]
        pid, own = answer["State"].get("Pid", 0), has_own_network(config)
        return Inspected(
            started_at=started_at,
            cgroup=await asyncio.to_thread(self._cgroups.find, container_id, pid, own_network=own),
            host_config=config,
            log_path=answer.get("LogPath") or "",
            upper_dir=((answer.get("GraphDriver") or {}).get("Data") or {}).get("UpperDir") or "",
        )

    async def _look(self, before: _Look | None) -> _Look:
        """Read everything. Rates are those since the look before, or averages where there is none."""
        containers = await self.containers()
        machine, processes, told, pods = await asyncio.to_thread(self._read, containers)
        hidden = [key for key, (_, found) in containers.items() if found.cgroup is None]
        told += await asyncio.gather(*(self._ask(key, containers[key][1]) for key in hidden))
        rates = Rates(before.rates if before is not None else None)
        usages = {}
        for key, found, tick, at in told:
            if found is None:
                continue
            container, known = containers[key]
            lasted = (at - known.started_at).total_seconds()
            usages[key] = ContainerUsage(
                container=container,
                started_at=known.started_at,
                at=at,
                nanocores=rates.of(key, Tick(found.cpu.total, tick), lasted),
                reading=found,
            )
        now = self._clock.monotonic()
        usage = Usage(
            machine=_rated(machine, machine.booted_at, rates, MACHINE, now),
            containers=usages,
            pods=pods,
            former=former(self._last.usage, usages) if self._last is not None else {},
            processes={name: _rated(each, each.started_at, rates, name, now) for name, each in processes.items()},
        )
        return _Look(now, usage, rates)

    def _read(
        self, containers: Mapping[ContainerID, tuple[RunningContainer, Inspected]]
    ) -> tuple[MachineUsage, dict[str, ProcessUsage], list[_Told], dict[PodUID, Reading]]:
        """All that this machine's files say. In a thread."""
        told = [
            self._told(key, self._cgroups.read(known.cgroup))
            for key, (_, known) in containers.items()
            if known.cgroup is not None
        ]
        processes = {name: self._machine.process(pid) for name, pid in self._pids().items()}
        seen = {name: found for name, found in processes.items() if found is not None}
        return self._machine.machine(), seen, told, self._read_pods(containers)

    def _read_pods(self, containers: Mapping[ContainerID, tuple[RunningContainer, Inspected]]) -> dict[PodUID, Reading]:
        """What whole pods have used, and use: of those that have a cgroup of their own."""
        ones = {found.identity.pod_uid: known.cgroup for found, known in containers.values() if known.cgroup}
        cgroups = {uid: cgroup for uid, one in ones.items() if (cgroup := one.of_pod(uid)) is not None}
        return {uid: found for uid, cgroup in cgroups.items() if (found := self._cgroups.read(cgroup)) is not None}

    def _pids(self) -> dict[str, int]:
        """This process, and the engine's where it is seen: one that systemd listens for is not."""
        pids = {SELF: os.getpid()}
        if self._socket_path:
            with suppress(OSError):
                pids[ENGINE] = process_id(self._socket_path)
        return {name: pid for name, pid in pids.items() if (name, pid) != (ENGINE, INIT)}

    async def _ask(self, container_id: ContainerID, known: Inspected) -> _Told:
        """Have the engine say what a container uses."""
        params: dict[str, str | int] = {"stream": 0, "one-shot": 1}
        try:
            answer = await self._unary.call("GET", f"/containers/{container_id}/stats", params=params)
        except EngineNotFound:
            return self._told(container_id, None)
        return self._told(container_id, reading(answer, known.host_config))

    def _told(self, container_id: ContainerID, found: Reading | None) -> _Told:
        return _Told(container_id, found, self._clock.monotonic(), self._clock.now())


def _rated(used: Timed, started_at: datetime, rates: Rates, key: str, now: float) -> Timed:
    rate = rates.of(key, Tick(used.cpu.total, now), (used.at - started_at).total_seconds())
    return msgspec.structs.replace(used, nanocores=rate)
