"""Carrying out actions: one method per action, each answering with news.

Every action may be carried out twice (after a crash, after an answer that was lost) and does its work once: names are
deterministic, what exists is adopted, what is gone is gone. No error leaves ``perform``; it becomes news.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from vkprovider.core import actions as a
from vkprovider.core.create import Gathered, NodeFacts, plan_container, plan_sandbox
from vkprovider.core.env import needed_objects, resolve_env
from vkprovider.core.faults import Fault
from vkprovider.core.image_names import invalid_image_name
from vkprovider.core.network_files import pod_resolver
from vkprovider.errors import EngineError, EngineUnavailable, ImagePullError, VkError
from vkprovider.model.container import Container
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef
from vkprovider.node.hooks import HTTP_FALLBACK, run_hook
from vkprovider.node.pod_files import PodFiles
from vkprovider.ports import ContainerEngine, ImageInfo, ObjectStore, WaitingClock, Watcher

Tell = Callable[[a.News], None]
log = structlog.get_logger()


class Performer:
    """Carries out actions on the engine and the file system; shared by all pod workers of a node."""

    def __init__(
        self,
        engine: ContainerEngine,
        objects: ObjectStore,
        files: PodFiles,
        node: NodeFacts,
        clock: WaitingClock,
        watcher: Watcher,
    ) -> None:
        self._engine = engine
        self._objects = objects
        self._files = files
        self._node = node
        self._clock = clock
        self._watcher = watcher
        self._images: dict[str, ImageInfo] = {}

    async def perform(self, pod: Pod, action: a.Action, ips: tuple[str, ...], tell: Tell) -> tuple[a.News, ...]:
        """Carry out one action. ``tell`` hears what is worth knowing before the end; the rest is returned."""
        try:
            return await self._perform(pod, action, ips, tell)
        except EngineUnavailable as exc:
            return (a.ActionFailed(key=action.key, action=type(action).__name__, message=str(exc)),)
        except VkError as exc:
            log.warning("action failed", pod=str(pod.key), action=type(action).__name__, error=str(exc))
            return (a.ActionFailed(key=action.key, action=type(action).__name__, message=str(exc)),)

    async def _perform(self, pod: Pod, action: a.Action, ips: tuple[str, ...], tell: Tell) -> tuple[a.News, ...]:
        match action:
            case a.PrepareVolumes():
                return await self._prepare_volumes(pod)
            case a.CreateSandbox():
                return await self._create_sandbox(pod, action)
            case a.RemoveSandbox(sandbox_id=target) | a.RemoveContainer(container_id=target):
                await self._engine.remove(target)
                return ()
            case a.PullImage():
                return await self._pull(pod, action, tell)
            case a.StartContainer():
                return await self._start(pod, action, ips)
            case a.RunHook():
                return await self._hook(pod, action, ips)
            case a.SignalContainer():
                await self._engine.signal(action.container_id, action.signal)
                return (a.SignalSent(key=action.key, container_id=action.container_id, signal=action.signal),)
            case a.TeardownPod():
                return await self._tear_down(pod)
            case _:
                raise AssertionError(f"unknown action {action!r}")

    async def _prepare_volumes(self, pod: Pod) -> tuple[a.News, ...]:
        problems = await self._files.prepare(pod, await self._fetch(self._files.needed(pod)))
        return (a.VolumesFailed(messages=problems),) if problems else (a.VolumesReady(),)

    async def _create_sandbox(self, pod: Pod, action: a.CreateSandbox) -> tuple[a.News, ...]:
        _, problems = pod_resolver(pod.spec, self._node.resolver)
        warnings = tuple(a.Warned(reason="DNSConfigForming", message=problem) for problem in problems)
        try:
            image = await self._engine.sandbox_image()
            spec = plan_sandbox(pod, self._node, action.attempt, image, self._files.sandbox_mounts(pod))
            await self._engine.start(await self._engine.create(spec))
        except (EngineError, Fault) as exc:
            return (*warnings, a.SandboxFailed(message=str(exc)))
        return warnings

    async def _pull(self, pod: Pod, action: a.PullImage, tell: Tell) -> tuple[a.News, ...]:
        problem = invalid_image_name(action.image)
        if problem is not None:
            return (_start_failed(action, "InvalidImageName", problem, action.image),)
        info = None if action.policy == "Always" else await self._engine.image(action.image)
        if info is not None:
            return (self._pulled(action, info, None),)
        if action.policy == "Never":
            message = f'Container image "{action.image}" is not present with pull policy of Never'
            return (_start_failed(action, "ErrImageNeverPull", message, action.image),)
        tell(a.PullStarted(key=action.key, image=action.image))
        begun = self._clock.monotonic()
        try:
            info = await self._engine.pull(
                action.image, (), lambda progress: self._watcher.pulling(pod, action.key, progress)
            )
        except ImagePullError as exc:
            return (_start_failed(action, "ErrImagePull", str(exc), action.image),)
        return (self._pulled(action, info, self._clock.monotonic() - begun),)

    def _pulled(self, action: a.PullImage, info: ImageInfo, seconds: float | None) -> a.News:
        self._images[info.id] = info
        return a.PullDone(
            key=action.key,
            image=action.image,
            attempt=action.attempt,
            image_id=info.id,
            seconds=seconds,
            size_bytes=info.size_bytes,
        )

    async def _start(self, pod: Pod, action: a.StartContainer, ips: tuple[str, ...]) -> tuple[a.News, ...]:
        container = _container(pod, action.key)
        try:
            gathered = await self._gather(pod, container, action, ips)
            spec = plan_container(pod, container, action, self._node, gathered)
        except Fault as exc:
            return (_start_failed(action, exc.waiting_reason, str(exc)),)
        try:
            container_id = await self._engine.create(spec)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            return (_start_failed(action, "CreateContainerError", str(exc)),)
        created = a.ContainerCreated(key=action.key, container_id=container_id)
        try:
            await self._engine.start(container_id)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            return (created, _start_failed(action, "RunContainerError", str(exc)))
        return (created, a.ContainerStarted(key=action.key, container_id=container_id))

    async def _gather(self, pod: Pod, container: Container, action: a.StartContainer, ips: tuple[str, ...]) -> Gathered:
        objects = await self._fetch(needed_objects(pod, container))
        env = resolve_env(pod, container, objects, host_ip=self._node.host_ip, pod_ips=ips, node_name=self._node.name)
        mounts = await self._files.container_mounts(pod, container, action.attempt, dict(env), ips)
        image = self._images.get(action.image_id) or await self._engine.image(action.image_id)
        if image is None:
            raise Fault(f"image {action.image_id} is not in the engine any more", "CreateContainerError")
        return Gathered(image_user=image.user, image_digest=image.digest, env=env, mounts=mounts)

    async def _fetch(self, refs: frozenset[ObjectRef]) -> Mapping[ObjectRef, Mapping[str, Any] | None]:
        return {ref: await self._objects.get(ref) for ref in sorted(refs)}

    async def _hook(self, pod: Pod, action: a.RunHook, ips: tuple[str, ...]) -> tuple[a.News, ...]:
        ports = tuple((p.name, p.container_port) for p in _container(pod, action.key).ports if p.name)
        pod_ip = ips[0] if ips else self._node.host_ip
        result = await run_hook(self._engine, action.container_id, action.handler, pod_ip, ports, self._clock)
        news: tuple[a.News, ...] = ()
        if result.warning:
            news += (a.Warned(key=action.key, reason=HTTP_FALLBACK, message=result.warning),)
        if result.error is not None:
            log.info("hook failed", pod=str(pod.key), container=action.key, hook=action.hook, error=result.error)
            news += (a.HookFailed(key=action.key, container_id=action.container_id, hook=action.hook),)
        return news

    async def _tear_down(self, pod: Pod) -> tuple[a.News, ...]:
        """Containers first, then sandboxes, then volumes and directories: what holds a mount goes before it."""
        observed = await self._engine.observe(pod.uid)
        ids = [c.id for c in observed.containers] + [s.id for s in observed.sandboxes]
        for container_id in ids:
            await self._engine.remove(container_id)
        await self._files.remove(pod.uid)
        return (a.TornDown(),)


def _container(pod: Pod, name: str) -> Container:
    return next(c for c in (*pod.spec.containers, *pod.spec.init_containers) if c.name == name)


def _start_failed(action: a.PullImage | a.StartContainer, reason: str, message: str, image: str = "") -> a.News:
    return a.StartFailed(key=action.key, attempt=action.attempt, reason=reason, message=message, image=image)
