"""How long a container has between its stop signal and KILL, a row per rule: pkg/kubelet/pod_workers.go
calculateEffectiveGracePeriod, pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer.
"""

from __future__ import annotations

import pytest

from tests.core.given import container, deleted, exited, given, native, pod, pulled, running
from tests.core.told import EXEC, confirmed, signals
from vkprovider.core.actions import RunHook
from vkprovider.core.decide import decide
from vkprovider.core.view import PodView, Verdicts
from vkprovider.model.pod import Pod


def signalled(of: Pod, name: str, view: PodView) -> tuple[float, float]:
    """When a container that heeds nothing gets its stop signal and its KILL, in seconds from the first look."""
    first = view.now
    times: dict[str, float] = {}
    while "KILL" not in times:
        decision = decide(view)
        for key, signal in signals(decision):
            if key == name:
                times.setdefault(signal, (view.now - first).total_seconds())
        hooks = {a.key: a for a in decision.actions if isinstance(a, RunHook)}
        in_flight = {k: a for k, a in (dict(view.in_flight) | hooks).items() if k not in decision.cancel}
        seconds = ((decision.wake_at or view.now) - view.now).total_seconds()
        when = 100 + (view.now - first).total_seconds() + (0 if decision.cancel else seconds)
        told = confirmed(decision)
        view = given(of, *view.observed.containers, when=when, in_flight=in_flight, memory=decision.memory, **told)
    return times["TERM"], times["KILL"]


@pytest.mark.parametrize(
    ("spec", "deletion", "kill"),
    [(30, 30, 30), (30, 5, 5), (5, 60, 60), (0, 1, 2), (30, 1, 2), (30, 2, 2)],
)
def test_of_a_deletion(spec: int, deletion: int, kill: float):
    p = deleted(pod(container("app"), terminationGracePeriodSeconds=spec), grace=deletion, when=100)
    assert signalled(p, "app", given(p, *running(p, "app"))) == (0, kill)


@pytest.mark.parametrize(("spec", "kill"), [(30, 30), (5, 5), (1, 2), (0, 2)])
def test_of_an_end_by_itself(spec: int, kill: float):
    p = pod(container("app"), inits=(native("side"),), terminationGracePeriodSeconds=spec)
    assert signalled(p, "side", given(p, exited(p, "app"), *running(p, "side"))) == (0, kill)


@pytest.mark.parametrize("verdicts", [Verdicts(live=False), Verdicts(started=False)])
@pytest.mark.parametrize(("own", "kill"), [(None, 30), (60, 60), (5, 5), (1, 2)])
def test_of_a_failed_probe(verdicts: Verdicts, own: int | None, kill: float):
    """The probe's own may be longer than the pod's."""
    probe = EXEC | ({"terminationGracePeriodSeconds": own} if own else {})
    p = pod(container("app", livenessProbe=probe, startupProbe=probe), policy="Always")
    (app,) = running(p, "app")
    assert signalled(p, "app", given(p, app, verdicts={app.id: verdicts})) == (0, kill)


def test_of_another_image():
    old, new = (pod(container("app", image=i), terminationGracePeriodSeconds=7) for i in ("busybox:1", "busybox:2"))
    assert signalled(new, "app", given(new, *running(old, "app"), memory=pulled(new, "app"))) == (0, 7)


@pytest.mark.parametrize("grace", [1, 5, 30])
def test_of_a_pre_stop_hook_that_never_ends(grace: int):
    p = pod(container("app", lifecycle={"preStop": EXEC}))
    p = deleted(p, grace=grace, when=100)
    assert signalled(p, "app", given(p, *running(p, "app"))) == (grace, grace + 2)


@pytest.mark.parametrize("grace", [1, 5, 30])
def test_of_a_sidecar_whose_app_uses_it_up(grace: int):
    p = deleted(pod(container("app"), inits=(native("side"),)), grace=grace, when=100)
    assert signalled(p, "side", given(p, *running(p, "side", "app"))) == (grace, grace + 2)
