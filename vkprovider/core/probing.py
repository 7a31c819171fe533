"""The threshold automaton of probes: when does a run of results become a verdict?

Follows the kubelet's probe worker (pkg/kubelet/prober/worker.go doProbe, prober.go probe). One state belongs to one
probe of one container instance; a new instance begins anew with ``begin``, so nothing old can influence it.

              below the threshold: count
                   +--------+
    begin --> counting <----+--- threshold reached: the verdict is published
                   |
                   +--- liveness failed, or startup decided ---> held: nothing counts any more
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from vkprovider.core.actions import ProbeFailed, ProbeTarget
from vkprovider.core.view import Verdicts
from vkprovider.model.probe import Probe

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"

# What holds until the first verdict: a container is alive but not ready, and nobody knows whether it has started.
_INITIAL: Mapping[str, bool | None] = {STARTUP: None, LIVENESS: True, READINESS: False}


class Outcome(StrEnum):
    """What came of one attempt, in the words events use. A WARNING counts as a success.

    ERROR means that the attempt itself broke, which says nothing about the container: the caller tries again, up to
    three times at once, and an attempt that still ends so changes nothing.
    """

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    ERROR = "unknown"


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of a probe; ``output`` is what the probed side, or the failure, had to say."""

    outcome: Outcome
    output: str = ""


class ProbeState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a probe stands: its published verdict, and the ``run`` of equal results ending in ``last``.

    ``run`` stops growing at the threshold. A ``held`` probe needs no further attempts.
    """

    kind: str
    verdict: bool | None
    last: bool | None = None
    run: int = 0
    held: bool = False


def begin(kind: str) -> ProbeState:
    """The state of a probe of a new container instance, with its initial verdict."""
    return ProbeState(kind=kind, verdict=_INITIAL[kind])


def advance(state: ProbeState, probe: Probe, outcome: Outcome) -> tuple[ProbeState, bool]:
    """The state after one more result, and whether this published a verdict that differs from the one before."""
    if state.held or outcome is Outcome.ERROR:
        return state, False
    good = outcome is not Outcome.FAILURE
    threshold = max(1, probe.success_threshold if good else probe.failure_threshold)
    run = min(state.run + 1, threshold) if good is state.last else 1
    if run < threshold:
        return msgspec.structs.replace(state, last=good, run=run), False
    held = state.kind == STARTUP or (state.kind == LIVENESS and not good)
    return ProbeState(kind=state.kind, verdict=good, last=good, run=run, held=held), good is not state.verdict


def verdicts(verdict_by_kind: Mapping[str, bool | None]) -> Verdicts:
    """The published verdicts of one container instance; a kind that is not probed stays None."""
    return Verdicts(
        started=verdict_by_kind.get(STARTUP),
        ready=verdict_by_kind.get(READINESS),
        live=verdict_by_kind.get(LIVENESS),
    )


def complaint(target: ProbeTarget, attempt: Attempt) -> ProbeFailed | None:
    """The news an attempt is worth. Every failing attempt is worth some, not only the one that reaches a threshold."""
    kind = target.kind.capitalize()
    match attempt.outcome:
        case Outcome.SUCCESS:
            return None
        case Outcome.WARNING:
            reason, message = "ProbeWarning", f"{kind} probe warning: {attempt.output}"
        case Outcome.FAILURE:
            reason, message = "Unhealthy", f"{kind} probe failed: {attempt.output}"
        case Outcome.ERROR:
            reason = "Unhealthy"
            message = f"{kind} probe errored and resulted in {attempt.outcome} state: {attempt.output}"
    return ProbeFailed(key=target.container, reason=reason, message=message)
