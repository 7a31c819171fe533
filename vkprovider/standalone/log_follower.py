"""``--logs``: follows the output of every container instance that shows up."""

from __future__ import annotations

import asyncio

from vkprovider.core.actions import Decision
from vkprovider.core.view import PodView
from vkprovider.model.engine import PullProgress
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID
from vkprovider.ports import ContainerEngine
from vkprovider.standalone.log_view import LogSink, follow

LAST_WORDS_SECONDS = 10.0


class LogFollower:
    """A ``Watcher``. One task per instance, begun when it has first run; each ends with its instance."""

    def __init__(self, engine: ContainerEngine, sink: LogSink) -> None:
        self._engine = engine
        self._sink = sink
        self._tasks: dict[ContainerID, asyncio.Task[None]] = {}

    def looked(self, view: PodView, decision: Decision) -> None:
        for instance in view.observed.containers:
            if instance.run is not Run.CREATED and instance.id not in self._tasks:
                self._tasks[instance.id] = asyncio.create_task(self._follow(view.pod, instance))

    def pulling(self, pod: Pod, container: str, progress: PullProgress) -> None:
        """Of no interest here."""

    async def aclose(self) -> None:
        """Let what has ended have its last words, for a while; what still runs is followed no further."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=LAST_WORDS_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, pod: Pod, instance: ContainerState) -> None:
        await follow(self._sink, pod, instance.name, self._engine.logs(instance.id, follow=True))
