"""The invariants of the decision core, in every order of events that hypothesis can think of.

The numbers are those of docs/explanation/architecture.md, "What always holds".
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.given import MARK, container, deleted, pod
from tests.fakes.programs import Program, ends, ignores_term, on_term
from tests.property.world import IMAGES, World
from vkprovider.core.actions import (
    Decision,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    RunHook,
    SignalContainer,
    StartContainer,
    TeardownPod,
)
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory, PodRecord
from vkprovider.core.sidecars import Kind
from vkprovider.core.view import PodView, Room, Verdicts
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.container import ContainerResizePolicy, EphemeralContainer, ResourceRequirements
from vkprovider.model.observed import Run
from vkprovider.model.pod import Pod

EXEC = {"exec": {"command": ["true"]}}
OVER = ("Succeeded", "Failed")
PROGRAMS = [ends(0, 1), ends(0, 7), ends(1, 1), ends(3, 20), ignores_term(), on_term(0, 3), on_term(143), Program()]


@st.composite
def pods(draw: st.DrawFn) -> Pod:
    """A pod of up to six containers of all kinds, with hooks and probes on some."""

    def spec(name: str, *env: dict[str, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if draw(st.integers(0, 5)) == 0:
            fields["lifecycle"] = {draw(st.sampled_from(["preStop", "postStart"])): EXEC}
        if draw(st.integers(0, 5)) == 0:
            fields["startupProbe"] = EXEC
        priority = draw(st.sampled_from([None, None, None, "5", "-5"]))
        extra = [{"name": "ECI_CONTAINER_EXIT_PRIORITY", "value": priority}] if priority else []
        return container(name, env=[*env, *extra], **fields)

    job = {"name": "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", "value": "true"}
    inits = [
        spec(f"i{n}") | ({"restartPolicy": "Always"} if draw(st.booleans()) else {})
        for n in range(draw(st.integers(0, 2)))
    ]
    for one in inits:
        if "restartPolicy" not in one:
            one.pop("startupProbe", None)
            one.pop("lifecycle", None)
    marks = [spec(f"m{n}", MARK) for n in range(draw(st.integers(0, 2)))]
    helpers = [spec("j0", job)] if draw(st.integers(0, 3)) == 0 else []
    apps = [spec(f"a{n}") for n in range(draw(st.integers(1, 2)))]
    policy = draw(st.sampled_from(["Never", "OnFailure", "Always"]))
    more = {"activeDeadlineSeconds": 40} if draw(st.integers(0, 5)) == 0 else {}
    grace = draw(st.sampled_from([0, 2, 30]))
    regular = draw(st.permutations([*marks, *helpers, *apps]))
    return pod(*regular, inits=tuple(inits), policy=policy, terminationGracePeriodSeconds=grace, **more)


class OnePod(RuleBasedStateMachine):
    """A pod's life, with hypothesis as fate."""

    @initialize(made=pods(), data=st.data())
    def begin(self, made: Pod, data: st.DataObject) -> None:
        self.world = World(made)
        for role in self.world.roles.all:
            self.world.engine.program(role.name, *(data.draw(st.sampled_from(PROGRAMS)) for _ in range(3)))
        self.phase = "Pending"
        self.counts: dict[str, int] = {}
        self.images: dict[str, int] = {}  # how many each container has been given
        self.was_started: set[str] = set()
        self.ended = False

    # --- what may happen ---------------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        view, decision = self.world.look()
        self.check(view, decision)

    @rule(rounds=st.integers(1, 12))
    def things_go_their_way(self, rounds: int) -> None:
        for _ in range(rounds):
            for key in list(self.world.flight):
                self.world.carry_out(key)
            self.look()

    @precondition(lambda self: self.world.flight)
    @rule(data=st.data())
    def an_action_is_carried_out(self, data: st.DataObject) -> None:
        self.world.carry_out(data.draw(st.sampled_from(sorted(self.world.flight))))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 5.0, 11.0, 31.0, 301.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.time += timedelta(seconds=seconds)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @precondition(lambda self: self.world.flight)
    @rule(data=st.data())
    def crash_before_the_answer(self, data: st.DataObject) -> None:
        self.world.lose_answer(data.draw(st.sampled_from(sorted(self.world.flight))))

    @rule(grace=st.sampled_from([None, 1, 5, 0]))
    def the_user_deletes_the_pod(self, grace: int | None) -> None:
        seconds = self.world.pod.spec.termination_grace_period_seconds if grace is None else grace
        self.world.pod = deleted(self.world.pod, seconds)

    @rule()
    def the_sandbox_dies(self) -> None:
        self.world.engine.kill_sandbox(self.world.pod.uid)

    @rule(verb=st.sampled_from(["create", "start", "signal", "remove", "image"]), after=st.booleans())
    def an_engine_call_fails(self, verb: str, after: bool) -> None:
        self.world.engine.fail(verb, EngineUnavailable("timed out"), after=after)

    @rule()
    def a_create_is_refused(self) -> None:
        self.world.engine.fail("create", EngineError("no"))

    @rule(data=st.data(), started=st.booleans())
    def a_startup_probe_decides(self, data: st.DataObject, started: bool) -> None:
        running = sorted(c.id for c in self.world.engine.containers.values() if c.running)
        if running:
            self.world.verdicts[data.draw(st.sampled_from(running))] = Verdicts(started=started)

    @rule(data=st.data(), size=st.integers(1, 5), restart=st.booleans())
    def the_user_resizes_a_container(self, data: st.DataObject, size: int, restart: bool) -> None:
        containers = list(self.world.pod.spec.containers)
        place = data.draw(st.integers(0, len(containers) - 1))
        may_restart = restart and self.world.pod.spec.restart_policy != "Never"
        policy = ContainerResizePolicy(resource_name="cpu", restart_policy="RestartContainer")
        asked = ResourceRequirements(requests={"cpu": f"{size}00m"}, limits={"memory": f"{size}0Mi"})
        containers[place] = msgspec.structs.replace(
            containers[place], resources=asked, resize_policy=(policy,) if may_restart else ()
        )
        self.world.change(containers=tuple(containers))

    @rule(data=st.data(), image=st.sampled_from([*IMAGES, "nowhere:1"]))
    def the_user_changes_an_image(self, data: st.DataObject, image: str) -> None:
        containers = list(self.world.pod.spec.containers)
        place = data.draw(st.integers(0, len(containers) - 1))
        containers[place] = msgspec.structs.replace(containers[place], image=image)
        self.images[containers[place].name] = self.images.get(containers[place].name, 1) + 1
        self.world.change(containers=tuple(containers))

    @rule(cpu=st.sampled_from([None, 100, 300, 1000]))
    def others_take_of_the_node(self, cpu: int | None) -> None:
        room = Room(allocatable={"cpu": 1000, "memory": 1 << 30}, used={"cpu": cpu or 0})
        self.world.room = room if cpu is not None else None

    @precondition(lambda self: len(self.world.pod.spec.ephemeral_containers) < 2)
    @rule(data=st.data())
    def the_user_debugs(self, data: st.DataObject) -> None:
        there = self.world.pod.spec.ephemeral_containers
        name = f"d{len(there)}"
        target = data.draw(st.sampled_from(["", *(r.name for r in self.world.roles.regulars)]))
        spy = EphemeralContainer(name=name, image="busybox:1.28", target_container_name=target)
        self.world.engine.program(name, data.draw(st.sampled_from(PROGRAMS)))
        self.world.change(ephemeral_containers=(*there, spy))

    # --- what must hold ----------------------------------------------------------------------------------------

    def check(self, view: PodView, decision: Decision) -> None:
        self.one_action_per_container(view, decision)
        self.sidecars_first(view, decision)
        self.no_start_and_no_early_kill_at_the_end(view, decision)
        self.phases_and_counts_only_advance(decision)
        self.crash_equivalence(view, decision)
        self.progress(view, decision)
        self.codes_are_true(view, decision)
        assert decide(view) == decision, "equal views, equal decisions"

    def one_action_per_container(self, view: PodView, decision: Decision) -> None:
        """2. No action for a container with one in flight, and at most one for each."""
        keys = [action.key for action in decision.actions]
        assert len(keys) == len(set(keys))
        assert not set(keys) & set(view.in_flight)

    def sidecars_first(self, view: PodView, decision: Decision) -> None:
        """3. No app starts before each init container has exited 0 and each sidecar has started."""
        for role in (r for r in self.world.roles.all if r.sidecar):
            newest = view.observed.newest(role.name)
            verdict = view.verdicts.get(newest.id) if newest is not None else None
            probed = role.container.startup_probe is not None
            if newest is not None and newest.run is Run.RUNNING and (not probed or (verdict and verdict.started)):
                self.was_started.add(role.name)
        starting = {a.key for a in decision.actions if isinstance(a, StartContainer)}
        if not starting & {r.name for r in self.world.roles.apps}:
            return
        for role in self.world.roles.inits:
            if role.kind is Kind.INIT:
                instances = view.observed.instances(role.name)
                assert any(i.run is Run.EXITED and i.exit_code == 0 for i in instances)
        assert {r.name for r in self.world.roles.all if r.sidecar} <= self.was_started

    def no_start_and_no_early_kill_at_the_end(self, view: PodView, decision: Decision) -> None:
        """4. At the end nothing starts; KILL never before its deadline; no sidecar is signalled while an app runs
        and grace is left.
        """
        ending = decision.record.ending
        if ending is None:
            return
        assert not any(isinstance(a, StartContainer | PullImage) for a in decision.actions)
        apps_run = any(
            c.alive for r in self.world.roles.regulars if r.keeps_alive for c in view.observed.instances(r.name)
        )
        sidecars = {r.name for r in self.world.roles.all if r.sidecar}
        for action in decision.actions:
            if not isinstance(action, SignalContainer):
                continue
            stop = decision.record.stops[action.container_id]
            if action.signal == "KILL" and not ending.force:
                assert view.now >= stop.kill_at
                assert stop.term_at is not None
            if action.key in sidecars and apps_run and not ending.force:
                assert view.now >= ending.deadline or stop.term_sent or stop.term_at != view.now

    def phases_and_counts_only_advance(self, decision: Decision) -> None:
        """5. The phase never leaves Succeeded or Failed, nor takes them while a container may run; restart counts
        never fall.
        """
        phase = decision.status["phase"]
        if self.phase in OVER:
            assert phase == self.phase
        elif phase in OVER:
            assert not self.world.alive()
        self.phase = phase
        statuses = decision.status.get("initContainerStatuses", []) + decision.status["containerStatuses"]
        for status in statuses:
            assert status["restartCount"] >= self.counts.get(status["name"], 0) or phase in OVER
            self.counts[status["name"]] = status["restartCount"]

    def crash_equivalence(self, view: PodView, decision: Decision) -> None:
        """6. What is decided about stopping, ending and the phase needs nothing but the engine and the record."""
        # What failed is tried again sooner after a crash.
        patient = msgspec.structs.replace(view.memory, failures={})
        bare = msgspec.structs.replace(view, memory=patient, in_flight={}, verdicts={}, news=())
        record = msgspec.json.decode(msgspec.json.encode(view.record), type=PodRecord)
        # Volumes are made again before anything else, and that is all.
        forgotten = PodMemory(volumes_ready=view.memory.volumes_ready)
        warm, cold = decide(bare), decide(msgspec.structs.replace(bare, record=record, memory=forgotten))
        assert timeless(cold.record) == timeless(warm.record)
        assert cold.status["phase"] == warm.status["phase"]
        assert self.irreversible(cold) >= self.irreversible(warm)

    @staticmethod
    def irreversible(decision: Decision) -> set[Any]:
        """Steps that a restart must neither lose nor invent. Without its memory of a failure it may retry sooner."""
        kinds = (SignalContainer, RemoveSandbox, RemoveContainer, RunHook)
        return {msgspec.json.encode(a) for a in decision.actions if isinstance(a, kinds)}

    def progress(self, view: PodView, decision: Decision) -> None:
        """7. Something pending, and nothing to do or to wait for: then there is a time to look again."""
        if decision.actions or view.in_flight or decision.gone or self.phase in OVER:
            return
        waits_for_engine = any(c.alive for c in view.observed.containers)
        assert decision.wake_at is not None or waits_for_engine

    def codes_are_true(self, view: PodView, decision: Decision) -> None:
        """8. No exit code is altered but that of a sidecar that the record says was stopped at the end."""
        if view.record.final is not None:
            return
        true = {f"docker://{c.id}": c for c in view.observed.containers}
        for status in decision.status["containerStatuses"] + decision.status.get("initContainerStatuses", []):
            ended = status["state"].get("terminated")
            instance = true.get(status.get("containerID", ""))
            if ended is None or instance is None or ended["exitCode"] == instance.exit_code:
                continue
            if instance.run is Run.CREATED:  # it never ran: as upstream, nobody knows how it ended
                assert ended["reason"] == "ContainerStatusUnknown"
                continue
            role = next(r for r in self.world.roles.all if r.name == status["name"])
            assert role.sidecar or role.kind is Kind.JOB
            stop = decision.record.stops[instance.id]
            assert stop.cause == "end"
            assert stop.term_at is not None or f"{instance.id}/PreStop" in decision.record.hooks

    @invariant()
    def nothing_runs_twice(self) -> None:
        """No instance is started twice; under Never no app has a second one but for another image; one living instance
        per name.
        """
        if not hasattr(self, "world"):
            return
        alive = self.world.alive()
        assert len(alive) == len(set(alive))
        assert all(c.runs <= 1 for c in self.world.engine.containers.values())
        assert all(len(self.world.engine.named(r.name)) <= 1 for r in self.world.roles.ephemerals)
        if self.world.pod.spec.restart_policy == "Never":
            for role in self.world.roles.apps:
                assert sum(1 for c in self.world.engine.named(role.name) if c.runs) <= self.images.get(role.name, 1)

    def teardown(self) -> None:
        """1. Left alone, a deleted pod comes to its end: the actions dry up and nothing is left."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.engine._faults.clear()
        world.pod = deleted(world.pod, 5)
        elapsed = (world.clock.time - world.view().now).total_seconds()
        assert elapsed == 0
        for _ in range(12):
            for key in list(world.flight):
                world.carry_out(key)
            decision = world.settle()
            if decision.gone:
                break
            world.clock.time += timedelta(seconds=10)
        assert decision.gone
        assert not [c for c in world.engine.containers.values()]
        assert not any(isinstance(a, TeardownPod) for a in world.look()[1].actions)


def timeless(record: PodRecord) -> PodRecord:
    """Without the transition times of conditions, which in a cluster are read back from the published status."""
    if record.final is None:
        return record
    conditions = [c | {"lastTransitionTime": None} for c in record.final["conditions"]]
    return msgspec.structs.replace(record, final=record.final | {"conditions": conditions})


TestOnePod = OnePod.TestCase
