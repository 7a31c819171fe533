"""A pod, an engine and a clock in one place, with every order of events left to the test.

The real ``decide`` and the real ``Performer`` meet the fake engine. Actions wait in ``flight`` until the test carries
them out, so that everything a real worker may see between an action and its news is seen here. ``crash`` forgets all
that a kill -9 would.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from tests.core.given import T0
from tests.fakes.engine import FakeEngine
from vkprovider.core.actions import Action, Decision, News, SignalContainer, StartContainer
from vkprovider.core.allocation import as_allocated
from vkprovider.core.create import NodeFacts
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.sidecars import classify
from vkprovider.core.view import CoreSettings, PodView, Room, Verdicts
from vkprovider.model.create import Mount
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.node.performer import Performer
from vkprovider.node.pulling import Puller
from vkprovider.standalone.objects import ManifestObjects

T = TypeVar("T")


class StoppedClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.time = T0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=max(0.0, seconds))


class NoFiles:
    """A pod without volumes needs none of what the real one does."""

    def needed(self, pod: Pod) -> frozenset[Any]:
        return frozenset()

    async def prepare(self, pod: Pod, objects: Mapping[Any, Any]) -> tuple[str, ...]:
        return ()

    def sandbox_mounts(self, pod: Pod) -> tuple[Mount, ...]:
        return ()

    async def container_mounts(self, *_: Any) -> tuple[Mount, ...]:
        return ()

    async def env_files(self, *_: Any) -> dict[Any, Any]:
        return {}

    async def seccomp_profile(self, name: str) -> str:
        return ""

    async def remove(self, uid: PodUID) -> None:
        return None


class NoWatcher:
    def looked(self, view: PodView, decision: Decision) -> None: ...

    def pulling(self, *_: Any) -> None: ...


def done_at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never really waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("the coroutine waits for something")


IMAGES = ("busybox:1.28", "busybox:2")


class World:
    """One pod from its first look to its last. Each ``look`` checks nothing itself; tests do, with what it returns."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.clock = StoppedClock()
        self.engine = FakeEngine(self.clock)
        for image in IMAGES:
            self.engine.add_image(image)
        self.settings = CoreSettings(node_name="node")
        node = NodeFacts(name="node", memory=1 << 30)
        store = ManifestObjects(())
        files: Any = NoFiles()
        self.performer = Performer(
            self.engine, store, files, node, self.clock, Puller(self.engine, store, self.clock, NoWatcher())
        )
        self.roles = classify(pod)
        self.room: Room | None = None
        self.disk = msgspec.json.encode(PodRecord())
        self.crash()

    def crash(self) -> None:
        """kill -9: what is on disk and in the engine stays."""
        self.record = msgspec.json.decode(self.disk, type=PodRecord)
        self.memory = PodMemory()
        self.news: list[News] = []
        self.flight: dict[str, Action] = {}
        self.verdicts: dict[ContainerID, Verdicts] = {}

    def view(self) -> PodView:
        return PodView(
            pod=self.pod,
            now=self.clock.now(),
            settings=self.settings,
            observed=done_at_once(self.engine.observe(self.pod.uid)),
            record=self.record,
            memory=self.memory,
            news=tuple(self.news),
            in_flight=dict(self.flight),
            verdicts=dict(self.verdicts),
            room=self.room,
        )

    def look(self) -> tuple[PodView, Decision]:
        view = self.view()
        decision = decide(view)
        self.news.clear()
        self.record, self.memory = decision.record, decision.memory
        self.disk = msgspec.json.encode(decision.record)
        for key in decision.cancel:
            self.flight.pop(key, None)
        self.flight |= {action.key: action for action in decision.actions}
        return view, decision

    def carry_out(self, key: str) -> None:
        """Carry out the action in flight under ``key``, and hear its news."""
        action = self.flight.pop(key)
        given = as_allocated(self.pod, self.record)
        self.news += done_at_once(self.performer.perform(given, action, self.record.ips, self.news.append))

    def change(self, **spec: Any) -> None:
        """The user changes the pod's specification."""
        meta = msgspec.structs.replace(self.pod.metadata, generation=self.pod.metadata.generation + 1)
        changed = msgspec.structs.replace(self.pod.spec, **spec)
        self.pod = msgspec.structs.replace(self.pod, metadata=meta, spec=changed)
        self.roles = classify(self.pod)

    def lose_answer(self, key: str) -> None:
        """The action is carried out, but the process dies before it hears of it."""
        self.carry_out(key)
        self.crash()

    def settle(self, limit: int = 200) -> Decision:
        """Look and carry out until nothing more is to do at this moment."""
        for _ in range(limit):
            _, decision = self.look()
            if not self.flight:
                return decision
            for key in list(self.flight):
                self.carry_out(key)
        raise AssertionError(f"no end of actions: {self.flight}")

    def run_until(self, seconds: float) -> Decision:
        """Let time pass up to ``seconds`` after the start, stopping wherever something is due."""
        end = T0 + timedelta(seconds=seconds)
        decision = self.settle()
        while self.clock.time < end:
            due = [at for at in (decision.wake_at, self.engine.next_due()) if at is not None]
            self.clock.time = min([end, *(max(at, self.clock.time) for at in due)])
            decision = self.settle()
        return decision

    def alive(self) -> list[str]:
        return [c.name for c in self.engine.containers.values() if c.running and not c.is_sandbox]

    def signals(self, actions: tuple[Action, ...]) -> list[tuple[str, str]]:
        return [(a.key, a.signal or "TERM") for a in actions if isinstance(a, SignalContainer)]

    def starts(self, actions: tuple[Action, ...]) -> list[str]:
        return [a.key for a in actions if isinstance(a, StartContainer)]
