"""What is counted of the engine: its calls, how long they took and which failed, and the streams that are open."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from vkprovider.errors import EngineConflict, EngineNotFound, EngineUnavailable
from vkprovider.model.engine import LogLine
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.ports import Clock, ContainerEngine
from vkprovider.telemetry import catalogue as c
from vkprovider.telemetry.meter import Meter
from vkprovider.telemetry.words import ATTACH, EXEC, LOGS, PORT_FORWARD

OPERATIONS = {  # by method, in the words of pkg/kubelet/kuberuntime/instrumented_services.go
    "info": "status",
    "pods": "list_podsandbox",
    "running": "list_containers",
    "observe": "container_status",
    "create": "create_container",
    "start": "start_container",
    "signal": "stop_container",
    "update": "update_container",
    "memory_usage": "container_stats",
    "remove": "remove_container",
    "sandbox_image": "sandbox_image",
    "image": "image_status",
    "stored_images": "list_images",
    "images_in_use": "images_in_use",
    "remove_image": "remove_image",
    "pull": "pull_image",
    "exec": "exec_sync",
    "create_volume": "create_volume",
    "volume_directory": "volume_status",
    "remove_volumes": "remove_volumes",
    "run_tool": "run_tool",
}
OK, CANCELLED = "ok", "cancelled"
FAILURES: tuple[tuple[type[BaseException], str], ...] = (  # the first that what is raised is one of
    (EngineNotFound, "not_found"),
    (EngineConflict, "conflict"),
    (EngineUnavailable, "unavailable"),
    (CancelledError, CANCELLED),
    (BaseException, "failed"),
)
OUTCOMES = (OK, *(outcome for _, outcome in FAILURES))
STREAMS = {"open_exec": EXEC, "open_attach": ATTACH, "open_port": PORT_FORWARD}
P = ParamSpec("P")
T = TypeVar("T")


def measured(engine: ContainerEngine, meter: Meter, clock: Clock) -> ContainerEngine:
    """The same engine, with all that is asked of it counted."""
    return cast(ContainerEngine, _MeasuredEngine(engine, meter, clock))


class _MeasuredEngine:
    """It has every attribute of the engine that it stands for."""

    def __init__(self, engine: ContainerEngine, meter: Meter, clock: Clock) -> None:
        self._engine = engine
        self._meter = meter
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._engine, name)
        if name in OPERATIONS:
            return self._operation(OPERATIONS[name], attribute)
        return self._stream(STREAMS[name], attribute) if name in STREAMS else attribute

    async def logs(self, container_id: ContainerID, *, follow: bool = False, **options: Any) -> AsyncGenerator[LogLine]:
        """A stream is what is followed."""
        lines = cast(AsyncGenerator[LogLine], self._engine.logs(container_id, follow=follow, **options))
        with self._open(LOGS) if follow else nullcontext():
            async with aclosing(lines):
                async for line in lines:
                    yield line

    async def changes(self) -> AsyncIterator[PodUID | None]:
        relisted: float | None = None
        async for uid in self._engine.changes():
            now = self._clock.monotonic()
            self._meter.put(c.LAST_SEEN, {(): self._clock.now().timestamp()})
            if uid is None:
                if relisted is not None:
                    self._meter.observe(c.RELIST_INTERVAL, now - relisted)
                relisted = now
            yield uid

    def _operation(self, name: str, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(call)
        async def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            begun, outcome = self._clock.monotonic(), OK
            self._meter.count(c.ENGINE_CALLS_IN_FLIGHT, name)
            try:
                return await call(*args, **kwargs)
            except BaseException as exc:
                outcome = next(outcome for kind, outcome in FAILURES if isinstance(exc, kind))
                raise
            finally:
                self._meter.count(c.ENGINE_CALLS_IN_FLIGHT, name, by=-1)
                self._ended(name, outcome, self._clock.monotonic() - begun)

        return counted

    def _ended(self, name: str, outcome: str, seconds: float) -> None:
        for each in OUTCOMES:  # all are shown from the first call on
            self._meter.count(c.ENGINE_CALLS, name, each, by=each == outcome)
        self._meter.count(c.OPERATIONS, name)
        self._meter.count(c.OPERATIONS_ERRORS, name, by=outcome not in (OK, CANCELLED))
        self._meter.observe(c.OPERATIONS_SECONDS, seconds, name)
        if name == OPERATIONS["pods"]:
            self._meter.observe(c.RELIST, seconds)

    def _stream(
        self, kind: str, opened: Callable[P, AbstractAsyncContextManager[T]]
    ) -> Callable[P, AbstractAsyncContextManager[T]]:
        @asynccontextmanager
        async def counted(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            with self._open(kind):
                async with opened(*args, **kwargs) as streams:
                    yield streams

        return counted

    @contextmanager
    def _open(self, kind: str) -> Iterator[None]:
        self._meter.count(c.STREAMS_OPENED, kind)
        self._meter.count(c.OPEN_STREAMS, kind)
        try:
            yield
        finally:
            self._meter.count(c.OPEN_STREAMS, kind, by=-1)
