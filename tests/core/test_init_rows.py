"""What becomes of init containers and native sidecars, a row per rule: pkg/kubelet/kuberuntime/kuberuntime_container.go
computeInitContainerActions. ``i``, ``j`` are plain init containers, ``s``, ``t`` native sidecars.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import container, exited, given, native, pod, running, state
from tests.core.told import EXEC
from vkprovider.core.actions import PullImage, SignalContainer
from vkprovider.core.decide import decide
from vkprovider.core.view import Verdicts
from vkprovider.model.observed import ContainerState, Run
from vkprovider.model.pod import Pod


def of(*inits: str, policy: str = "Never", probe: str = "") -> Pod:
    listed: list[dict[str, Any]] = []
    for name in inits:
        probes = {probe: EXEC} if probe and name in "st" else {}
        listed.append(native(name, **probes) if name in "st" else container(name))
    return pod(container("app"), inits=tuple(listed), policy=policy)


I_S, S_I, S_T, I_J = of("i", "s"), of("s", "i"), of("s", "t"), of("i", "j")
PROBED = of("s", "i", probe="startupProbe")
LIVELY = of("s", "i", probe="livenessProbe")
AGAIN = of("i", "j", policy="OnFailure")


class Row(msgspec.Struct, frozen=True):
    """``starts`` and ``stops`` are names; ``verdicts`` are of ``s``."""

    rule: str
    of: Pod
    instances: tuple[ContainerState, ...]
    starts: str = ""
    stops: str = ""
    verdicts: Verdicts | None = None


ROWS = [
    Row("nothing known: the first", I_J, (), "i"),
    Row("no status, position passed: a sidecar is started again", S_I, running(S_I, "i"), "s"),
    Row("no status, position passed: a plain one is over", I_J, running(I_J, "j")),
    Row("position passed: a failed plain one is over", AGAIN, (exited(AGAIN, "i", 1), *running(AGAIN, "j"))),
    Row("created, never ran: started", I_J, (state(I_J, "i", Run.CREATED),), "i"),
    Row("plain and running: wait", I_J, running(I_J, "i")),
    Row("sidecar running, startup unknown: wait", PROBED, running(PROBED, "s"), verdicts=Verdicts()),
    Row("startup succeeded: advance", PROBED, running(PROBED, "s"), "i", verdicts=Verdicts(started=True)),
    Row("startup failed: stop", PROBED, running(PROBED, "s"), "", "s", Verdicts(started=False)),
    Row("sidecar started: advance", S_I, running(S_I, "s"), "i"),
    Row("the last sidecar started: initialized", I_S, (exited(I_S, "i"), *running(I_S, "s")), "app"),
    Row("liveness failed: stop, and advance", LIVELY, running(LIVELY, "s"), "i", "s", Verdicts(live=False)),
    Row("sidecar exited 0: again, do not advance", S_I, (exited(S_I, "s"),), "s"),
    Row("sidecar exited 1: again", S_I, (exited(S_I, "s", 1),), "s"),
    Row("sidecar exited behind the position: both", S_T, (exited(S_T, "s"), *running(S_T, "t")), "s app"),
    Row("plain, exited 0: advance", I_J, (exited(I_J, "i"),), "j"),
    Row("plain, exited 1, OnFailure: again", AGAIN, (exited(AGAIN, "i", 1),), "i"),
    Row("plain, out of memory with code 0: again", AGAIN, (exited(AGAIN, "i", oom_killed=True),), "i"),
    Row("plain, exited 1, Never: the end", I_J, (exited(I_J, "i", 1),)),
    Row("plain, exited 1, Never: sidecars are stopped", S_I, (*running(S_I, "s"), exited(S_I, "i", 1)), "", "s"),
    Row("plain and unknown: killed first", I_J, (state(I_J, "i", Run.UNKNOWN),), "", "i"),
    Row("sidecar unknown: killed first", S_I, (state(S_I, "s", Run.UNKNOWN),), "", "s"),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.rule for row in ROWS])
def test_a_rule(row: Row):
    verdicts = {c.id: row.verdicts for c in row.instances if c.name == "s" and row.verdicts is not None}
    decision = decide(given(row.of, *row.instances, verdicts=verdicts))
    starts = [a.key for a in decision.actions if isinstance(a, PullImage)]
    stops = [a.key for a in decision.actions if isinstance(a, SignalContainer)]
    assert (starts, stops) == (row.starts.split(), row.stops.split())
