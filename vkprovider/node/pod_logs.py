"""The log files of pods: of those that mount them (``model.volume.STDLOG``), or of all where a directory is named."""

from __future__ import annotations

import asyncio

import structlog

from vkprovider.core.actions import Decision
from vkprovider.core.view import PodView
from vkprovider.errors import EngineError, EngineNotFound
from vkprovider.model.create import LogLimits
from vkprovider.model.engine import LogTarget, PullProgress
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.log_dirs import LogDirs
from vkprovider.ports import ContainerEngine, WaitingClock

RETRY_SECONDS = 5.0
log = structlog.get_logger()


class PodLogs:
    """A ``Watcher`` that has the engine keep the log of each container instance that it sees to have run."""

    def __init__(
        self, engine: ContainerEngine, dirs: LogDirs, clock: WaitingClock, limits: LogLimits | None = None
    ) -> None:
        self._engine = engine
        self._dirs = dirs
        self._clock = clock
        self._limits = limits or LogLimits()
        self._tasks: dict[PodUID, dict[ContainerID, asyncio.Task[None]]] = {}

    def looked(self, view: PodView, decision: Decision) -> None:
        if not self._dirs.keeps(view.pod):
            return
        known = self._tasks.pop(view.pod.uid, {})
        seen = {instance.id for instance in view.observed.containers}
        tasks = {name: task for name, task in known.items() if name in seen or not task.done()}
        for instance in view.observed.containers:
            if instance.started_at is not None and instance.id not in tasks:
                tasks[instance.id] = asyncio.create_task(self._keep(view.pod, instance))
        if tasks:
            self._tasks[view.pod.uid] = tasks

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        """Nothing to be kept."""

    async def run(self) -> None:
        """Leave the logs, once cancelled, as they are then: the next start goes on with them."""
        try:
            await asyncio.Event().wait()
        finally:
            tasks = [task for of_pod in self._tasks.values() for task in of_pod.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, pod: Pod, instance: ContainerState) -> None:
        """Until the instance has ended and all is written, or it is gone."""
        name = instance.name
        while True:
            try:
                path, note = await asyncio.to_thread(self._dirs.begin, pod, name, instance.attempt)
                target = LogTarget(path=path, note=note, limits=self._limits)
                return await self._engine.copy_log(instance.id, target)
            except EngineNotFound:
                return
            except (EngineError, OSError) as exc:
                log.warning("a log file is not kept; trying again", pod=str(pod.key), container=name, error=str(exc))
            await self._clock.sleep(RETRY_SECONDS)
