"""A container engine in memory, for tests in virtual time.

No method of it ever suspends, so that a test may drive one by ``coroutine.send(None)``; only ``changes`` and a
followed log wait. Time is the clock's alone: what is due happens, at its own time, when the engine is next called.
It honours what bites with a real engine, and a contract suite holds it to that.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from tests.fakes.containers import FakeContainer, glance, observation
from tests.fakes.images import FakeImages
from tests.fakes.journal import Call
from tests.fakes.programs import KILLED, Program
from vkprovider.engine.log_relay import relay
from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable
from vkprovider.model import labels as keys
from vkprovider.model.create import ContainerCreate, Limits
from vkprovider.model.engine import EngineInfo, ExecResult, LogLine, LogTarget
from vkprovider.model.observed import Glance, PodObservation
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.model.usage import RunningContainer

_WHOSE = (keys.NODE, keys.TYPE, keys.POD_UID, keys.CONTAINER_NAME, keys.ATTEMPT)
_INFO = EngineInfo(
    version="0.0.0",
    api_version="1.41",
    os="linux",
    architecture="x86_64",
    kernel="6.1",
    operating_system="Fake Linux",
    cpus=2,
    memory=4 << 30,
    runtimes=("runc", "slow"),
)


class Now(Protocol):
    def now(self) -> datetime: ...


class FakeEngine(FakeImages):
    """The ContainerEngine port, and a test's controls over it.

    ``programs`` says what the attempts of a container do, by the container's name in its pod: the first for attempt
    0 and so on, the last for all that follow. ``down`` makes all calls fail.
    """

    def __init__(self, clock: Now, node: str = "node") -> None:
        super().__init__()
        self.node = node
        self.programs: dict[str, tuple[Program, ...]] = {}
        self.tool_error = ""
        self.on_tool: Callable[[Sequence[str], str], None] | None = None
        self.down = False
        self.lose_changes = False
        self.double_changes = False
        self.unknown: set[ContainerID] = set()
        self.journal: list[Call] = []
        self.containers: dict[ContainerID, FakeContainer] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self._clock = clock
        self._faults: dict[str, list[tuple[EngineError, bool]]] = {}
        self._listeners: list[asyncio.Queue[PodUID | None]] = []
        self._made = 0
        self._closed = False
        self._adopted_late: set[ContainerID] = set()

    # --- the test's controls ----------------------------------------------------------------------------------

    def program(self, container: str, *attempts: Program) -> None:
        """What the attempts of a container do, from the first on."""
        self.programs[container] = attempts

    def ignore_term(self, container: str) -> None:
        self.program(container, Program(reactions={}))

    def fail(self, verb: str, error: EngineError, *, after: bool = False) -> None:
        """Let the next call of a verb fail; with ``after`` it does its work first and only the answer is lost."""
        self._faults.setdefault(verb, []).append((error, after))

    def exit(self, container_id: ContainerID, code: int = 0) -> None:
        """Let a running container end by itself, now."""
        self._end(self.containers[container_id], self._clock.now(), code)

    def oom(self, container_id: ContainerID) -> None:
        """Let the kernel kill a container for its memory, now."""
        self._end(self.containers[container_id], self._clock.now(), KILLED, oom=True)

    def kill_sandbox(self, uid: PodUID) -> None:
        """Let a pod's sandbox die, now: its containers go on, without a network."""
        for sandbox in self._of(uid):
            if sandbox.is_sandbox and sandbox.running:
                self.exit(sandbox.id, KILLED)

    def relist(self) -> None:
        """Tell whoever listens that anything may have changed."""
        for listener in self._listeners:
            listener.put_nowait(None)

    def next_due(self) -> datetime | None:
        """When something will next happen by itself."""
        return min((c.due_at for c in self.containers.values() if c.due_at is not None), default=None)

    def settle(self) -> None:
        """Let everything happen that is due. Every call of the port does so first."""
        now = self._clock.now()
        due = [c for c in self.containers.values() if c.due_at is not None and c.due_at <= now]
        for container in sorted(due, key=lambda c: c.due_at or now):
            assert container.due_at is not None
            self._end(container, container.due_at, container.due_code, oom=container.due_oom)

    def named(self, container: str) -> list[FakeContainer]:
        """All instances of a container, by its name in the pod, oldest first."""
        return [c for c in self.containers.values() if c.name == container]

    def calls(self, *verbs: str) -> list[Call]:
        """The journal, or those verbs of it."""
        return [call for call in self.journal if not verbs or call.verb in verbs]

    # --- the port ----------------------------------------------------------------------------------------------

    async def info(self) -> EngineInfo:
        with self._call("info", ""):
            return _INFO

    async def pods(self) -> Mapping[PodUID, Glance]:
        with self._call("pods", ""):
            uids = {c.pod_uid for c in self.containers.values() if self._own(c)}
            return {uid: glance(self._of(uid), self._clock.now()) for uid in uids}

    async def observe(self, uid: PodUID) -> PodObservation:
        with self._call("observe", uid):
            return observation(self._of(uid), self.unknown)

    async def running(self) -> tuple[RunningContainer, ...]:
        with self._call("running", ""):
            return tuple(
                RunningContainer(id=c.id, identity=c.identity, created_at=c.created_at, image=c.spec.image)
                for c in self.containers.values()
                if self._own(c) and c.running and c.identity is not None
            )

    async def create(self, spec: ContainerCreate) -> ContainerID:
        with self._call("create", spec.name, spec.image):
            image = self._image(spec.image)
            if image is None:
                raise EngineNotFound(f"No such image: {spec.image}")
            holder = next((c for c in self.containers.values() if c.spec.name == spec.name), None)
            if holder is not None:
                return self._adopt(holder, spec)
            self._made += 1
            made = FakeContainer(
                id=ContainerID(hashlib.sha256(f"{self._made}".encode()).hexdigest()),
                spec=spec,
                identity=keys.decode(spec.labels),
                image_id=image.id,
                stop_signal=spec.stop_signal or image.stop_signal,
                created_at=self._clock.now(),
                ip=f"10.88.{self._made // 250}.{self._made % 250 + 2}",
            )
            self.containers[made.id] = made
            return made.id

    async def start(self, container_id: ContainerID) -> None:
        with self._call("start", self._name(container_id)):
            container = self._get(container_id)
            if container.running or container_id in self._adopted_late:
                return
            program = self._program(container)
            try:
                self._require_joined(container)
                if program.start_error:
                    raise EngineError(program.start_error)
            except EngineError as exc:
                container.start_error = str(exc)
                raise
            container.begin(program, self._clock.now())
            self._changed(container)
            self.settle()

    async def signal(self, container_id: ContainerID, signal: str) -> bool:
        with self._call("signal", self._name(container_id), signal):
            container = self.containers.get(container_id)
            if container is None or not container.running:
                return False
            signal = (signal or container.stop_signal or "TERM").removeprefix("SIG")
            now = self._clock.now()
            if signal == "KILL":
                self._end(container, now, KILLED)
            elif container.react(signal, now):
                self.settle()
            self._changed(container)
            return True

    async def update(self, container_id: ContainerID, limits: Limits) -> None:
        with self._call("update", self._name(container_id)):
            self._get(container_id).update(limits)

    async def memory_usage(self, container_id: ContainerID) -> int:
        with self._call("memory_usage", self._name(container_id)):
            return self._get(container_id).memory_usage

    async def remove(self, container_id: ContainerID) -> None:
        with self._call("remove", self._name(container_id)):
            container = self.containers.get(container_id)
            if container is None:
                return
            if container.running:
                self._end(container, self._clock.now(), KILLED)
            del self.containers[container_id]
            container.news.set()
            self._changed(container)

    async def exec(self, container_id: ContainerID, command: Sequence[str], timeout: float | None) -> ExecResult:
        words = " ".join(command)
        with self._call("exec", self._name(container_id), words):
            container = self._get(container_id)
            if not container.running:
                raise EngineConflict(f"Container {container_id} is not running")
            known = container.program.commands.get(words)
            if known is None:
                return ExecResult(exit_code=0, output=b"")
            if known.error:
                raise EngineError(known.error)
            late = timeout is not None and known.seconds > timeout
            return ExecResult(exit_code=None if late else known.code, output=known.output[: 10 * 1024])

    async def logs(
        self,
        container_id: ContainerID,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[LogLine]:
        with self._call("logs", self._name(container_id)):
            container = self._get(container_id)
        told = 0 if tail is None else max(0, len(container.output) - tail)
        while True:
            self.settle()
            lines = container.output[told:]
            told += len(lines)
            for line in lines:
                if since is None or line.time >= since:
                    yield line
            if told < len(container.output):
                continue
            if not follow or not container.running:
                return
            container.news.clear()
            await container.news.wait()

    async def copy_log(self, container_id: ContainerID, target: LogTarget) -> None:
        self._get(container_id)
        await relay(lambda since: self.logs(container_id, follow=True, since=since), target)

    async def create_volume(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> None:
        with self._call("create_volume", name):
            self.volumes.setdefault(name, dict(labels))

    async def volume_directory(self, name: str) -> str:
        with self._call("volume_directory", name):
            if name not in self.volumes:
                raise EngineNotFound(f"no such volume: {name}")
            return f"/volumes/{name}"

    async def remove_volumes(self, labels: Mapping[str, str]) -> None:
        with self._call("remove_volumes", str(dict(labels))):
            for name in [n for n, own in self.volumes.items() if labels.items() <= own.items()]:
                users = [c for c in self.containers.values() if any(m.source == name for m in c.spec.mounts)]
                if users:
                    raise EngineConflict(f"remove {name}: volume is in use - [{users[0].id}]")
                del self.volumes[name]

    async def forget(self, uid: PodUID) -> None:
        with self._call("forget", uid):
            assert not any(container.running for container in self._of(uid))

    async def run_tool(self, args: Sequence[str], directory: str) -> None:
        with self._call("run_tool", directory, " ".join(args)):
            if self.tool_error:
                raise EngineError(self.tool_error)
            if self.on_tool is not None:
                self.on_tool(args, directory)

    async def changes(self) -> AsyncIterator[PodUID | None]:
        listener: asyncio.Queue[PodUID | None] = asyncio.Queue()
        self._listeners.append(listener)
        try:
            yield None
            while True:
                yield await listener.get()
        finally:
            self._listeners.remove(listener)

    async def close(self) -> None:
        self.journal.append(Call(at=self._clock.now(), verb="close", target=""))
        self._closed = True

    # --- the inside --------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self, verb: str, target: str, detail: str = "") -> Iterator[None]:
        """Every call: written down, refused while the engine is down, failed if the test wants it so."""
        self.journal.append(Call(at=self._clock.now(), verb=verb, target=target, detail=detail))
        if self.down or self._closed:
            raise EngineUnavailable("cannot talk to the engine: Connection refused")
        error, after = self._faults[verb].pop(0) if self._faults.get(verb) else (None, False)
        if error is not None and not after:
            raise error
        self.settle()
        yield
        if error is not None:
            raise error

    def _get(self, container_id: ContainerID) -> FakeContainer:
        try:
            return self.containers[container_id]
        except KeyError:
            raise EngineNotFound(f"No such container: {container_id}") from None

    def _name(self, container_id: ContainerID) -> str:
        container = self.containers.get(container_id)
        return container.spec.name if container is not None else container_id

    def _of(self, uid: PodUID) -> list[FakeContainer]:
        return [c for c in self.containers.values() if self._own(c) and c.pod_uid == uid]

    def _own(self, container: FakeContainer) -> bool:
        return container.identity is not None and container.identity.node == self.node

    def _program(self, container: FakeContainer) -> Program:
        attempts = self.programs.get(container.name, (Program(),))
        return attempts[min(container.attempt, len(attempts) - 1)]

    def _adopt(self, holder: FakeContainer, spec: ContainerCreate) -> ContainerID:
        if any(holder.spec.labels.get(key) != spec.labels.get(key) for key in _WHOSE):
            raise EngineConflict(f'Conflict. The container name "/{spec.name}" is already in use')
        if holder.finished_at is not None:
            self._adopted_late.add(holder.id)
        return holder.id

    def _require_joined(self, container: FakeContainer) -> None:
        """A container that joins another's namespaces needs that one to run."""
        kind, _, other_id = container.spec.network.partition(":")
        if kind != "container":
            return
        other = self.containers.get(ContainerID(other_id))
        if other is None:
            raise EngineNotFound(f"No such container: {other_id}")
        if not other.running:
            raise EngineConflict(f"cannot join network of a non running container: {other_id}")

    def _end(self, container: FakeContainer, at: datetime, code: int, *, oom: bool = False) -> None:
        container.end(at, code, oom=oom)
        self._changed(container)

    def _changed(self, container: FakeContainer) -> None:
        if not self._own(container) or self.lose_changes:
            return
        for listener in self._listeners:
            for _ in range(2 if self.double_changes else 1):
                listener.put_nowait(container.pod_uid)
