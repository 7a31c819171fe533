"""Runs a postStart or preStop hook once (pkg/kubelet/lifecycle/handlers.go).

A hook has no deadline of its own: cancelling it is how the pod's grace ends it. Each kind of action may be cancelled
at any moment and leaves nothing behind but what the command in the container has done.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from vkprovider.errors import VkError
from vkprovider.model.pod import Pod
from vkprovider.model.probe import HTTPGetAction, LifecycleHandler
from vkprovider.model.refs import ContainerID
from vkprovider.node.handlers import NotTLSError, Ports, address, http_get, netloc
from vkprovider.ports import ContainerEngine, WaitingClock

HTTP_FALLBACK = "LifecycleHTTPFallback"  # the reason of the event that ``HookResult.warning`` is worth


class HookResult(msgspec.Struct, frozen=True, kw_only=True):
    """``error`` is None where the hook succeeded; it may quote the command's output and so belongs in no event.

    ``warning`` is the text of a Warning event with reason HTTP_FALLBACK, "" if there is none.
    """

    error: str | None = None
    warning: str = ""


async def run_hook(
    engine: ContainerEngine,
    container_id: ContainerID,
    handler: LifecycleHandler,
    pod_ip: str,
    ports: Ports,
    clock: WaitingClock,
) -> HookResult:
    """Run a hook to its end; ``ports`` are the container's own, by name."""
    try:
        if handler.exec is not None:
            return await _exec(engine, container_id, handler.exec.command)
        if handler.http_get is not None:
            return await _http_get(handler.http_get, pod_ip, ports)
        if handler.sleep is not None:
            await clock.sleep(handler.sleep.seconds)
            return HookResult()
    except VkError as exc:
        return HookResult(error=str(exc))
    # The API accepts tcpSocket in a hook, and the kubelet has never been able to run it.
    kind = "empty" if handler.tcp_socket is None else "tcpSocket"
    return HookResult(error=f"Cannot run handler: invalid handler: {kind}")


def failure_message(handler: LifecycleHandler, container: str, pod: Pod, error: str) -> str:
    """What a container's status says of a failed hook."""
    meta = pod.metadata
    whose = f'for Container "{container}" in Pod "{meta.name}_{meta.namespace}({meta.uid})"'
    if handler.exec is not None:
        return f'Exec lifecycle hook ([{" ".join(handler.exec.command)}]) {whose} failed - error: {error}, message: ""'
    if handler.http_get is not None:
        return f"HTTP lifecycle hook ({handler.http_get.path}) {whose} failed - error: {error}"
    if handler.sleep is not None:
        return f"Sleep lifecycle hook ({handler.sleep.seconds}) {whose} failed - error: {error}"
    return error


async def _exec(engine: ContainerEngine, container_id: ContainerID, command: Sequence[str]) -> HookResult:
    result = await engine.exec(container_id, command, None)
    if result.exit_code == 0:
        return HookResult()
    output = result.output.decode(errors="replace").rstrip()
    return HookResult(error=f"command '{' '.join(command)}' exited with {result.exit_code}: {output}")


async def _http_get(action: HTTPGetAction, pod_ip: str, ports: Ports) -> HookResult:
    """Any answer will do, whatever its status. HTTPS that meets plain HTTP is tried again as such."""
    try:
        await _ask(action, pod_ip, ports)
    except NotTLSError as exc:
        headers = tuple(h for h in action.http_headers if h.name.lower() != "authorization")
        try:
            await _ask(msgspec.structs.replace(action, scheme="HTTP", http_headers=headers), pod_ip, ports)
        except VkError:
            return HookResult(error=str(exc))
        asked = netloc(*address(action, pod_ip, ports))
        warning = f"request to HTTPS lifecycle hook {asked} got HTTP response, retry with HTTP succeeded"
        return HookResult(warning=warning)
    return HookResult()


async def _ask(action: HTTPGetAction, pod_ip: str, ports: Ports) -> None:
    async with http_get(action, pod_ip, ports, "lifecycle", None):
        pass  # the body is of no interest
