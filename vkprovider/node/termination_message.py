"""The last words of a container: its termination message file, or the end of its log.

Rules: pkg/kubelet/kuberuntime/kuberuntime_container.go getTerminationMessage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from vkprovider.errors import EngineError
from vkprovider.model.container import Container
from vkprovider.model.observed import ContainerState, PodObservation, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.ports import ContainerEngine

LOG_LINES, LOG_BYTES = 80, 2048
POD_LIMIT = 12 * 1024  # bytes of messages of a whole pod, shared evenly by its containers

FileReader = Callable[[Pod, str, int], str]  # pod, container name, attempt; blocks


class TerminationMessages:
    """Fills in the messages of ended containers; each is read once."""

    def __init__(self, engine: ContainerEngine, read_file: FileReader) -> None:
        self._engine = engine
        self._read_file = read_file
        self._known: dict[PodUID, dict[ContainerID, str]] = {}  # of the instances that there are

    async def fill_in(self, pod: Pod, observed: PodObservation) -> PodObservation:
        """The observation with ``message`` set on every instance that has ended."""
        known = self._known.pop(pod.uid, {})
        ended = {c.id: c for c in observed.containers if c.run is Run.EXITED}
        if not ended:
            return observed
        told = {name: known[name] if name in known else await self._read(pod, c) for name, c in ended.items()}
        self._known[pod.uid] = told
        containers = (msgspec.structs.replace(c, message=told.get(c.id, c.message)) for c in observed.containers)
        return msgspec.structs.replace(observed, containers=tuple(containers))

    async def _read(self, pod: Pod, instance: ContainerState) -> str:
        containers = (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
        spec = next((c for c in containers if c.name == instance.name), None)
        if spec is None:
            return ""
        message = await asyncio.to_thread(self._read_file, pod, instance.name, instance.attempt)
        if not message and _falls_back(spec, instance):
            message = await self._end_of_log(instance)
        if instance.start_error:
            message = f"{instance.start_error}: {message}" if message else instance.start_error
        share = POD_LIMIT // len(containers)
        return message.encode()[:share].decode(errors="ignore")

    async def _end_of_log(self, instance: ContainerState) -> str:
        try:
            lines = [line.data async for line in self._engine.logs(instance.id, tail=LOG_LINES)]
        except EngineError:
            return ""
        return b"".join(lines)[-LOG_BYTES:].decode(errors="replace")


def _falls_back(spec: Container, instance: ContainerState) -> bool:
    return (
        spec.termination_message_policy == "FallbackToLogsOnError"
        and instance.exit_code != 0
        and not instance.start_error
    )
