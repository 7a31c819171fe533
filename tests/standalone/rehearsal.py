"""A pod's whole life in no time: the real ``decide`` on a stage with invented containers and an invented clock.

Every look is kept as ``(view, decision)``, exactly what a ``Watcher`` is shown. Delays are fixed, so that what is
drawn from a rehearsal can be compared letter by letter.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from vkprovider.core import actions as a
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.view import CoreSettings, PodView, Verdicts
from vkprovider.model.labels import spec_hash
from vkprovider.model.observed import ContainerState, PodObservation, Run, SandboxState
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
Look = tuple[PodView, a.Decision]


def at(seconds: float) -> datetime:
    """An instant, in seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def make_pod(name: str = "test-x9k2f", *, job: str = "test", **spec: Any) -> Pod:
    """A pod in namespace default, of a Job unless ``job`` is ""."""
    meta: dict[str, Any] = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    if job:
        meta["ownerReferences"] = [{"kind": "Job", "name": job, "uid": f"uid-{job}", "controller": True}]
    return decode_pod({"metadata": meta, "spec": {"restartPolicy": "Never"} | spec})


def box(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox:1.28"} | more


def seed_pod() -> Pod:
    """The pod of the sidecar Job every tutorial shows: an app of ten seconds, a sidecar that tails its log."""
    return make_pod(containers=[box("app")], initContainers=[box("sidecar", restartPolicy="Always")])


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """How a container behaves, in seconds: its pull (0: the image is there), its run (None: for ever), its answer
    to TERM (None: it ignores it). ``codes`` are its exit codes run by run, the last one for all later runs.
    """

    pull: float = 0
    pull_error: str = ""
    start_error: str = ""
    runs: float | None = None
    codes: tuple[int, ...] = (0,)
    term: float | None = None
    term_code: int = 143
    probe_passes: float | None = None
    stop_signal: str = ""


class Rehearsal:
    def __init__(self, pod: Pod, acts: dict[str, Act], **settings: Any) -> None:
        self.pod = pod
        self.acts = acts
        self.settings = CoreSettings(node_name="node", **settings)
        self.now = 0.0
        self.sandbox_error = ""
        self.looks: list[Look] = []
        self.record, self.memory = PodRecord(), PodMemory()
        self.news: list[a.News] = []
        self.in_flight: dict[str, a.Action] = {}
        self.verdicts: dict[ContainerID, Verdicts] = {}
        self.sandboxes: tuple[SandboxState, ...] = ()
        self.containers: dict[ContainerID, ContainerState] = {}
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def play(self, until: float) -> list[Look]:
        """Look whenever something happens, up to that second; gives the looks taken in this call."""
        begun = len(self.looks)
        self._look()
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, happens = heapq.heappop(self._agenda)
            happens()
            self._look()
        self.now = until
        return self.looks[begun:]

    def delete(self, grace: int = 30) -> None:
        meta = msgspec.structs.replace(
            self.pod.metadata, deletion_timestamp=at(self.now + grace), deletion_grace_period_seconds=grace
        )
        self.pod = msgspec.structs.replace(self.pod, metadata=meta)

    def _look(self) -> None:
        if self.looks and self.looks[-1][1].gone:
            return
        newest_first = sorted(self.containers.values(), key=lambda c: -c.attempt)
        view = PodView(
            pod=self.pod,
            now=at(self.now),
            settings=self.settings,
            observed=PodObservation(sandboxes=self.sandboxes, containers=tuple(newest_first)),
            record=self.record,
            memory=self.memory,
            news=tuple(self.news),
            in_flight=dict(self.in_flight),
            verdicts=dict(self.verdicts),
        )
        self.news.clear()
        decision = decide(view)
        self.record, self.memory = decision.record, decision.memory
        self.looks.append((view, decision))
        for key in decision.cancel:
            self.in_flight.pop(key, None)
        for action in decision.actions:
            self.in_flight[action.key] = action
            self._perform(action)
        if decision.wake_at is not None:
            self._in((decision.wake_at - at(self.now)).total_seconds(), lambda: None)

    def _in(self, seconds: float, happens: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (round(self.now + seconds, 6), self._count, happens))

    def _answer(self, action: a.Action, seconds: float, *news: a.News) -> None:
        def done() -> None:
            if self.in_flight.get(action.key) is action:
                del self.in_flight[action.key]
                self.news += news

        self._in(seconds, done)

    def _perform(self, action: a.Action) -> None:
        match action:
            case a.PrepareVolumes():
                self._answer(action, 0.0, a.VolumesReady(version=action.version))
            case a.CreateSandbox() if self.sandbox_error:
                self._answer(action, 0.3, a.SandboxFailed(message=self.sandbox_error))
            case a.CreateSandbox(attempt=attempt):
                self._in(0.3, lambda: self._sandbox(attempt))
                self._answer(action, 0.3)
            case a.PullImage():
                self._pull(action, self.acts[action.key])
            case a.StartContainer():
                self._start(action, self.acts[action.key])
            case a.SignalContainer(container_id=container_id, signal=signal):
                self._signal(container_id, signal)
                self._answer(action, 0.01, a.SignalSent(key=action.key, container_id=container_id, signal=signal))
            case a.RemoveSandbox():
                self.sandboxes = ()
                self._answer(action, 0.05)
            case a.RemoveContainer(container_id=container_id):
                del self.containers[container_id]
                self._answer(action, 0.05)
            case a.TeardownPod():
                self.sandboxes, self.containers = (), {}
                self._answer(action, 0.1, a.TornDown())

    def _sandbox(self, attempt: int) -> None:
        new = SandboxState(
            id=ContainerID(f"sandbox-{attempt}"),
            attempt=attempt,
            ready=True,
            created_at=at(self.now),
            ips=("10.0.0.7",),
        )
        self.sandboxes = (new, *self.sandboxes)

    def _pull(self, action: a.PullImage, act: Act) -> None:
        if not act.pull:
            self._answer(action, 0.0, self._pulled(action, None))
            return
        self.news.append(a.PullStarted(key=action.key, image=action.image))
        self._in(0.0, lambda: None)
        failure = a.StartFailed(
            key=action.key, attempt=action.attempt, reason="ErrImagePull", message=act.pull_error, image=action.image
        )
        self._answer(action, act.pull, failure if act.pull_error else self._pulled(action, act.pull))

    def _pulled(self, action: a.PullImage, seconds: float | None) -> a.PullDone:
        return a.PullDone(
            key=action.key, image=action.image, attempt=action.attempt, image_id="sha256:1", seconds=seconds
        )

    def _start(self, action: a.StartContainer, act: Act) -> None:
        name, attempt = action.key, action.attempt
        spec = next(c for c in self.pod.spec.containers + self.pod.spec.init_containers if c.name == name)
        new = ContainerState(
            id=ContainerID(f"{self.pod.metadata.name}-{name}-{attempt}"),
            name=name,
            attempt=attempt,
            sandbox_id=action.sandbox_id,
            run=Run.CREATED,
            created_at=at(self.now + 0.05),
            image=spec.image,
            image_id="sha256:1",
            backoff_seconds=action.backoff_seconds,
            spec_hash=spec_hash(spec),
            stop_signal=act.stop_signal,
        )

        def started() -> None:
            if act.start_error:
                broken = {"run": Run.EXITED, "exit_code": 128, "start_error": act.start_error}
                self._change(new.id, started_at=at(self.now), finished_at=at(self.now), **broken)
                return
            self._change(new.id, run=Run.RUNNING, started_at=at(self.now))
            if act.runs is not None:
                self._in(act.runs, lambda: self._exit(new.id, act.codes[min(attempt, len(act.codes) - 1)]))
            if act.probe_passes is not None:
                passed = Verdicts(started=True)
                self._in(act.probe_passes, lambda: self.verdicts.__setitem__(new.id, passed))

        def created() -> None:
            self.containers[new.id] = new
            self.news.append(a.ContainerCreated(key=name, container_id=new.id))

        self._in(0.05, created)
        self._in(0.15, started)
        self._answer(action, 0.15, a.ContainerStarted(key=name, container_id=new.id))

    def _signal(self, container_id: ContainerID, signal: str) -> None:
        act = self.acts[self.containers[container_id].name]
        if signal == "KILL":
            self._in(0.02, lambda: self._exit(container_id, 137))
        elif act.term is not None:
            self._in(act.term, lambda: self._exit(container_id, act.term_code))

    def _exit(self, container_id: ContainerID, code: int) -> None:
        if container_id in self.containers and self.containers[container_id].alive:
            self._change(container_id, run=Run.EXITED, finished_at=at(self.now), exit_code=code)

    def _change(self, container_id: ContainerID, **fields: Any) -> None:
        if container_id in self.containers:
            self.containers[container_id] = msgspec.structs.replace(self.containers[container_id], **fields)
