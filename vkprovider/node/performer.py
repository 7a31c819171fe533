"""Carrying out actions: one method per action, each answering with news.

Every action may be carried out twice (after a crash, after an answer that was lost) and does its work once: names are
deterministic, what exists is adopted, what is gone is gone. No error leaves ``perform``; it becomes news.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from vkprovider.core import actions as a
from vkprovider.core.claimed import bound_volumes
from vkprovider.core.create import Gathered, NodeFacts, plan_container, plan_sandbox
from vkprovider.core.env import Whereabouts, needed_objects, resolve_env
from vkprovider.core.faults import Fault
from vkprovider.core.network_files import pod_resolver
from vkprovider.core.objects import withheld
from vkprovider.core.projections import Fetched
from vkprovider.core.resources import container_limits, unshared_limits
from vkprovider.core.runtime_classes import runtime_class, runtime_of
from vkprovider.core.security import seccomp_file, unenforced
from vkprovider.core.tokens import Token, needed_tokens
from vkprovider.errors import EngineError, EngineUnavailable, VkError
from vkprovider.model.container import Container
from vkprovider.model.engine import ImageInfo
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef
from vkprovider.node.fetching import fetch_objects, fetch_service_variables, fetch_tokens
from vkprovider.node.hooks import HTTP_FALLBACK, failure_message, run_hook
from vkprovider.node.pod_files import PodFiles
from vkprovider.node.pulling import Puller
from vkprovider.ports import ContainerEngine, ObjectStore, WaitingClock

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
        puller: Puller,
    ) -> None:
        self._engine = engine
        self._objects = objects
        self._files = files
        self._node = node
        self._clock = clock
        self._puller = puller
        self._images: dict[str, ImageInfo] = {}

    def follow(self, pod: Pod, refs: frozenset[ObjectRef], tell: Tell) -> None:
        """Have ``tell`` hear of changes of these objects, and of no others any more."""
        self._objects.follow(pod, refs, lambda ref: tell(a.ObjectChanged(ref=ref)))

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
            case a.PrepareVolumes(version=version):
                return await self._prepare_volumes(pod, version)
            case a.CreateSandbox():
                return await self._create_sandbox(pod, action)
            case a.RemoveSandbox(sandbox_id=target) | a.RemoveContainer(container_id=target):
                await self._engine.remove(target)
                return ()
            case a.PullImage():
                return await self._pull(pod, action, tell)
            case a.StartContainer():
                return await self._start(pod, action, ips, tell)
            case a.ResizeContainer():
                return await self._resize(pod, action)
            case a.RunHook():
                return await self._hook(pod, action, ips)
            case a.SignalContainer():
                await self._engine.signal(action.container_id, action.signal)
                return (a.SignalSent(key=action.key, container_id=action.container_id, signal=action.signal),)
            case a.TeardownPod():
                return await self._tear_down(pod)
            case _:
                raise AssertionError(f"unknown action {action!r}")

    async def _prepare_volumes(self, pod: Pod, version: int) -> tuple[a.News, ...]:
        tokens = await fetch_tokens(self._objects, needed_tokens(pod))
        objects = await fetch_objects(self._objects, pod, self._files.needed(pod))
        objects = {**objects, **await fetch_objects(self._objects, pod, bound_volumes(objects))}
        fetched = Fetched(objects=objects, tokens=tokens)
        problems = await self._files.prepare(pod, fetched)
        if problems:
            return (a.VolumesFailed(messages=problems, version=version),)
        renew_at = min((token.renew_at for token in tokens.values() if isinstance(token, Token)), default=None)
        return (a.VolumesReady(version=version, renew_at=renew_at, withheld=withheld(objects)),)

    async def _create_sandbox(self, pod: Pod, action: a.CreateSandbox) -> tuple[a.News, ...]:
        _, cut = pod_resolver(pod, self._node.dns)
        warned = [a.Warned(reason="DNSConfigForming", message=limit) for limit in cut]
        lacking = unenforced(pod, self._node.enforced, self._node.withheld)
        warned += [a.Warned(reason="NotConfined", message=message) for message in lacking]
        if not self._node.limits_pods and (unshared := unshared_limits(pod.spec)):
            warned.append(a.Warned(reason="PodLimitsNotShared", message=unshared))
        warnings = tuple(warned)
        try:
            runtime = await self._runtime(pod)
            image = await self._engine.sandbox_image()
            spec = plan_sandbox(pod, self._node, action.attempt, image, self._files.sandbox_mounts(pod), runtime)
            await self._engine.start(await self._engine.create(spec))
        except (EngineError, Fault) as exc:
            return (*warnings, a.SandboxFailed(message=str(exc)))
        return warnings

    async def _runtime(self, pod: Pod) -> str:
        """The engine's runtime for a pod, "" for its default one. Raises Fault where there is none that it asks for."""
        ref = runtime_class(pod)
        if ref is None:
            return ""
        return runtime_of(ref, await fetch_objects(self._objects, pod, [ref]), (await self._engine.info()).runtimes)

    async def _pull(self, pod: Pod, action: a.PullImage, tell: Tell) -> tuple[a.News, ...]:
        news, info = await self._puller.bring(pod, _container(pod, action.key), action, tell)
        if info is not None:
            self._images[info.id] = info
        return (news,)

    async def _start(self, pod: Pod, action: a.StartContainer, ips: tuple[str, ...], tell: Tell) -> tuple[a.News, ...]:
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
        tell(a.ContainerCreated(key=action.key, container_id=container_id))  # before the engine says that it runs
        try:
            await self._engine.start(container_id)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            return (_start_failed(action, "RunContainerError", str(exc)),)
        return (a.ContainerStarted(key=action.key, container_id=container_id),)

    async def _resize(self, pod: Pod, action: a.ResizeContainer) -> tuple[a.News, ...]:
        """A limit below what is in use would not be kept, but let the kernel kill (validateMemoryResizeAction)."""
        container = msgspec.structs.replace(_container(pod, action.key), resources=action.resources)
        limits = container_limits(pod.spec, container, self._node.memory)
        try:
            usage = await self._engine.memory_usage(action.container_id) if action.less_memory else 0
            if action.less_memory and usage >= limits.memory:
                below = f'attempting to set container "{action.key}" memory limit ({limits.memory})'
                message = f"cannot decrease memory limits: {below} below current usage ({usage})"
                return (a.ResizeFailed(key=action.key, message=message),)
            await self._engine.update(action.container_id, limits)
        except EngineUnavailable:
            raise
        except EngineError as exc:
            return (a.ResizeFailed(key=action.key, message=str(exc)),)
        return (a.ContainerResized(key=action.key, container_id=action.container_id, resources=action.resources),)

    async def _gather(self, pod: Pod, container: Container, action: a.StartContainer, ips: tuple[str, ...]) -> Gathered:
        objects = await fetch_objects(self._objects, pod, needed_objects(pod, container))
        node = self._node
        where = Whereabouts(node_name=node.name, host_ip=node.host_ip, pod_ips=ips, allocatable=node.allocatable)
        services = await fetch_service_variables(self._objects, pod)
        read = await self._files.env_files(pod, container)
        env = resolve_env(pod, container, objects, where, services, read)
        seccomp = await self._files.seccomp_profile(seccomp_file(pod, container))
        mounts = await self._files.container_mounts(pod, container, action.attempt, dict(env), ips, action.volumes)
        image = self._images.get(action.image_id) or await self._engine.image(action.image_id)
        if image is None:
            raise Fault(f"image {action.image_id} is not in the engine any more", "CreateContainerError")
        return Gathered(image_user=image.user, image_digest=image.digest, env=env, mounts=mounts, seccomp=seccomp)

    async def _hook(self, pod: Pod, action: a.RunHook, ips: tuple[str, ...]) -> tuple[a.News, ...]:
        ports = tuple((p.name, p.container_port) for p in _container(pod, action.key).ports if p.name)
        pod_ip = ips[0] if ips else self._node.host_ip
        result = await run_hook(self._engine, action.container_id, action.handler, pod_ip, ports, self._clock)
        news: tuple[a.News, ...] = ()
        if result.warning:
            news += (a.Warned(key=action.key, reason=HTTP_FALLBACK, message=result.warning),)
        if result.error is not None:
            log.info("hook failed", pod=str(pod.key), container=action.key, hook=action.hook, error=result.error)
            message = failure_message(action.handler, action.key, pod, result.error)
            news += (a.HookFailed(key=action.key, container_id=action.container_id, hook=action.hook, message=message),)
        return news

    async def _tear_down(self, pod: Pod) -> tuple[a.News, ...]:
        """Containers first, then sandboxes, then volumes and directories: what holds a mount goes before it."""
        observed = await self._engine.observe(pod.uid)
        ids = [c.id for c in observed.containers] + [s.id for s in observed.sandboxes]
        for container_id in ids:
            await self._engine.remove(container_id)
        await self._engine.forget(pod.uid)
        await self._files.remove(pod.uid)
        return (a.TornDown(),)


def _container(pod: Pod, name: str) -> Container:
    spec = pod.spec
    return next(c for c in (*spec.containers, *spec.init_containers, *spec.ephemeral_containers) if c.name == name)


def _start_failed(action: a.StartContainer, reason: str, message: str) -> a.News:
    return a.StartFailed(key=action.key, attempt=action.attempt, reason=reason, message=message)
