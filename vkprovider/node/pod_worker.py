"""The one owner of a pod: an asyncio task that looks, decides, and has the decision carried out.

Level-triggered: a poke only says "look again", so lost or doubled ones cost latency, never truth, and recovery after
a kill -9 is simply the first look. The worker never waits for an action: each runs as a task of its own whose news
enter the next look. At most one is in flight per container.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog

from vkprovider.core.actions import Action, ActionFailed, Decision, News
from vkprovider.core.allocation import as_allocated
from vkprovider.core.claims import claim_if_readable
from vkprovider.core.decide import decide
from vkprovider.core.phase import OVER
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.view import CoreSettings, Eviction, PodView
from vkprovider.errors import EngineError
from vkprovider.model.pod import Pod
from vkprovider.node.ledger import Ledger
from vkprovider.node.performer import Performer
from vkprovider.node.probe_tally import ProbeTally
from vkprovider.node.prober import Prober
from vkprovider.node.termination_message import TerminationMessages
from vkprovider.ports import Checkpoint, ContainerEngine, EventSink, StatusSink, Stopwatch, WaitingClock, Watcher

ENGINE_RETRY_SECONDS = 1.0
STORY_LENGTH = 64
log = structlog.get_logger()


class Untimed:
    """A ``Stopwatch`` for where nobody asks."""

    def looked(self, causes: Sequence[str], decision: Decision | None, waited: float, seconds: float) -> None: ...

    def acted(self, action: Action, news: Sequence[News], seconds: float) -> None: ...


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What all pod workers of a node share."""

    engine: ContainerEngine
    performer: Performer
    messages: TerminationMessages
    settings: CoreSettings
    clock: WaitingClock
    checkpoint: Checkpoint
    statuses: StatusSink
    events: EventSink
    watcher: Watcher
    stopwatch: Stopwatch = msgspec.field(default_factory=Untimed)
    tally: ProbeTally = msgspec.field(default_factory=ProbeTally)
    ledger: Ledger = msgspec.field(default_factory=Ledger)


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """One look, for the story of a pod: why it was taken and what came of it."""

    at: datetime
    causes: tuple[str, ...]
    phase: str
    actions: tuple[str, ...]


class PodWorker:
    """Runs one pod from its first look until nothing of it is left."""

    def __init__(
        self, pod: Pod, around: Surroundings, record: PodRecord | None = None, eviction: Eviction | None = None
    ) -> None:
        self.pod = pod
        self.story: deque[Chapter] = deque(maxlen=STORY_LENGTH)
        self._around = around
        self._record = record or PodRecord()
        around.ledger.note_devices(pod.uid, self._record.devices.values())  # before anybody else is given any
        self._eviction = eviction
        self._memory = PodMemory()
        self._saved: tuple[PodRecord, Pod] | None = None
        self._status: Mapping[str, Any] | None = None
        self._news: list[News] = []
        self._in_flight: dict[str, tuple[Action, asyncio.Task[tuple[News, ...]]]] = {}
        self._causes: list[str] = ["start"]
        self._caused_at = around.clock.monotonic()
        self._answered = True  # by the engine, the last time it was asked
        self._poked = asyncio.Event()
        self._prober = Prober(
            around.engine,
            around.clock,
            on_result=lambda: self.poke("probe"),
            on_news=self._hear,
            on_attempt=lambda target, outcome: around.tally.count(self.pod, target, outcome),
        )

    @property
    def record(self) -> PodRecord:
        return self._record

    @property
    def status(self) -> Mapping[str, Any]:
        """The v1.PodStatus that was decided last; empty before the first look."""
        return self._status or {}

    def poke(self, cause: str) -> None:
        """Have the worker look again soon."""
        self._note(cause)
        self._poked.set()

    def update(self, pod: Pod) -> None:
        """A newer version of the pod object; the newest wins."""
        self.pod = pod
        self.poke("pod")

    def evict(self, why: Eviction) -> None:
        """Have the pod end in order, though its object stays."""
        self._eviction = why
        self.poke("eviction")

    async def run(self) -> None:
        """Work until nothing of the pod is left. Cancelled, it leaves the containers as they are."""
        try:
            while True:
                decision = await self._timed_look()
                if decision is not None and decision.gone:
                    break
                await self._rest(decision)
            await asyncio.to_thread(self._around.checkpoint.delete, self.pod.uid)
            self._around.statuses.gone(self.pod)
            self._around.tally.forget(self.pod.uid)
        finally:
            await self._leave()

    def _note(self, cause: str) -> None:
        if not self._causes:
            self._caused_at = self._around.clock.monotonic()
        self._causes.append(cause)

    async def _timed_look(self) -> Decision | None:
        clock = self._around.clock
        causes, self._causes, begun = tuple(self._causes), [], clock.monotonic()
        waited = begun - self._caused_at
        decision = await self._turn(causes)
        self._around.stopwatch.looked(causes, decision, waited, clock.monotonic() - begun)
        return decision

    async def _turn(self, causes: tuple[str, ...]) -> Decision | None:
        """One look, one decision. None where the engine could not be asked."""
        self._poked.clear()
        # Taken before the engine is asked: what ends meanwhile still counts as in flight, so that a container that
        # the answer does not show yet is not started a second time.
        news, self._news = tuple(self._news), []
        in_flight = {key: action for key, (action, _) in self._in_flight.items()}
        try:
            observed = await self._around.engine.observe(self.pod.uid)
            observed = await self._around.messages.fill_in(self.pod, observed)
        except EngineError as exc:
            if self._answered:
                log.warning("engine does not answer", pod=str(self.pod.key), error=str(exc))
            self._answered = False
            self._news[:0] = news
            return None
        self._answered = True
        view = PodView(
            pod=self.pod,
            now=self._around.clock.now(),
            settings=self._around.settings,
            observed=observed,
            record=self._record,
            memory=self._memory,
            news=news,
            in_flight=in_flight,
            verdicts=self._prober.verdicts,
            room=self._around.ledger.room(self.pod.uid),
            eviction=self._eviction,
        )
        decision = decide(view)
        self._remember(view, decision, causes)
        await self._carry_out(view, decision)
        return decision

    def _remember(self, view: PodView, decision: Decision, causes: tuple[str, ...]) -> None:
        self._record, self._memory = decision.record, decision.memory
        self._account(view.pod, decision)
        verbs = tuple(f"{type(a).__name__} {a.key}".strip() for a in decision.actions)
        phase = str(decision.status.get("phase"))
        self.story.append(Chapter(at=view.now, causes=causes, phase=phase, actions=verbs))

    def _account(self, pod: Pod, decision: Decision) -> None:
        """Before anybody else decides: what the pod has been given by now."""
        ledger = self._around.ledger
        if decision.gone or decision.status["phase"] in OVER:
            ledger.forget(pod.uid)
        else:
            waiting = self.poke if decision.memory.pending is not None else None
            ledger.note(pod.uid, claim_if_readable(as_allocated(pod, decision.record)), waiting)
            ledger.note_devices(pod.uid, decision.record.devices.values())

    async def _carry_out(self, view: PodView, decision: Decision) -> None:
        around, pod = self._around, view.pod
        if self._saved is None or self._saved[0] != decision.record or self._saved[1] is not pod:
            await asyncio.to_thread(around.checkpoint.save, pod.uid, decision.record, pod)
            self._saved = (decision.record, pod)
        for event in decision.events:
            around.events.record(pod, event, view.now)
        if decision.status != self._status:
            self._status = decision.status
            around.statuses.publish(pod, decision.status)
        for key in decision.cancel:
            if key in self._in_flight:
                self._in_flight[key][1].cancel()
        allocated = as_allocated(pod, decision.record)
        around.performer.follow(pod, decision.objects, self._hear)
        for action in decision.actions:
            self._begin(allocated, action, decision)
        self._prober.sync(decision.probes)
        around.watcher.looked(view, decision)

    def _begin(self, pod: Pod, action: Action, decision: Decision) -> None:
        name = f"{pod.key} {type(action).__name__} {action.key}"
        work = self._perform(pod, action, decision.record.ips)
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._in_flight[action.key] = (action, task)
        task.add_done_callback(lambda done: self._ended(action, done))

    async def _perform(self, pod: Pod, action: Action, ips: tuple[str, ...]) -> tuple[News, ...]:
        around = self._around
        begun = around.clock.monotonic()
        news = await around.performer.perform(pod, action, ips, self._hear)
        around.stopwatch.acted(action, news, around.clock.monotonic() - begun)
        return news

    def _ended(self, action: Action, task: asyncio.Task[tuple[News, ...]]) -> None:
        """The action leaves the in-flight table and its news arrive in one step, so that one look sees both."""
        del self._in_flight[action.key]
        if not task.cancelled():
            error = task.exception()
            if error is None:
                self._news += task.result()
            else:
                log.error("action failed unexpectedly", pod=str(self.pod.key), action=repr(action), exc_info=error)
                self._news.append(ActionFailed(key=action.key, action=type(action).__name__, message=repr(error)))
        self.poke(type(action).__name__)

    def _hear(self, news: News) -> None:
        self._news.append(news)
        self.poke(type(news).__name__)

    async def _rest(self, decision: Decision | None) -> None:
        """Wait for a poke, or until the decision wants to look again."""
        timeout: float | None = ENGINE_RETRY_SECONDS
        if decision is not None:
            timeout = None
            if decision.wake_at is not None:
                timeout = max(0.0, (decision.wake_at - self._around.clock.now()).total_seconds())
        try:
            async with asyncio.timeout(timeout):
                await self._poked.wait()
        except TimeoutError:
            self._note("timer")

    async def _leave(self) -> None:
        await self._prober.aclose()
        tasks = [task for _, task in self._in_flight.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
