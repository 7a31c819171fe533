"""From the names in a request's path to what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vkprovider.errors import EngineError
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodKey
from vkprovider.ports import ContainerEngine, PodIndex
from vkprovider.server.refusals import Refused

_PULLING = {  # as the kubelet says it, which has the two the wrong way round (kubelet_pods.go)
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")


class Lookup:
    """Raises Refused with the kubelet's words where there is no such thing."""

    def __init__(self, pods: PodIndex, engine: ContainerEngine) -> None:
        self._pods = pods
        self._engine = engine

    def pod(self, path: Mapping[str, str]) -> Pod:
        found = self._pods.find(PodKey(path["namespace"], path["pod"]))
        if found is None:
            raise Refused(404, "pod does not exist")
        if path.get("uid", found.uid) != found.uid:
            raise Refused(404, "pod not found")
        return found

    async def running(self, path: Mapping[str, str]) -> ContainerState:
        """The container that a command is to run in, or that is to be attached to."""
        pod, name = self.pod(path), path["container"]
        newest = await self._newest(pod, name)
        if newest is None or newest.run is not Run.RUNNING:
            raise Refused(500, f'container not found ("{name}")')
        return newest

    async def sandbox(self, path: Mapping[str, str]) -> ContainerID:
        """The sandbox whose network holds the pod's ports."""
        pod = self.pod(path)
        try:
            observed = await self._engine.observe(pod.uid)
        except EngineError as exc:
            raise Refused(500, str(exc)) from exc
        ready = next((sandbox for sandbox in observed.sandboxes if sandbox.ready), None)
        if ready is None:
            raise Refused(500, f'pod not found ("{pod.key.name}_{pod.key.namespace}")')
        return ready.id

    def logged(self, path: Mapping[str, str], *, previous: bool) -> ContainerID:
        """The instance whose log is asked for (kubelet_pods.go validateContainerLogStatus)."""
        name, container = path["pod"], path["container"]
        pod = self._pods.find(PodKey(path["namespace"], name))
        if pod is None:
            raise Refused(404, f'pod "{name}" does not exist')
        spec = pod.spec
        if all(c.name != container for c in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)):
            raise Refused(404, f'container "{container}" not found in pod "{name}"')
        status = self._pods.status(pod.uid)
        entries = (entry for key in _STATUSES for entry in status.get(key, ()))
        entry = next((entry for entry in entries if entry["name"] == container), None)
        if entry is None:
            raise Refused(400, f'container "{container}" in pod "{name}" is not available')
        return _instance(entry, f'container "{container}" in pod "{name}"', previous)

    async def _newest(self, pod: Pod, name: str) -> ContainerState | None:
        try:
            return (await self._engine.observe(pod.uid)).newest(name)
        except EngineError as exc:
            raise Refused(500, str(exc)) from exc


def _instance(entry: Mapping[str, Any], what: str, previous: bool) -> ContainerID:
    """Which instance the status of a container points to."""
    state = entry.get("state", {})
    last = entry.get("lastState", {}).get("terminated", {}).get("containerID", "")
    waiting = state.get("waiting")
    if previous:
        if not last:
            raise Refused(400, f"previous terminated {what} not found")
        return _engine_id(last)
    if "running" in state:
        return _engine_id(entry["containerID"])
    if found := state.get("terminated", {}).get("containerID", "") or last:
        return _engine_id(found)
    if waiting is None:
        raise Refused(400, f"{what} is terminated")
    reason = waiting.get("reason", "")
    raise Refused(400, f"{what} is waiting to start: {_PULLING.get(reason, reason)}")


def _engine_id(container_id: str) -> ContainerID:
    """Without what statuses put before it: the kind of engine."""
    return ContainerID(container_id.rpartition("://")[2])
