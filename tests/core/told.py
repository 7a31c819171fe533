"""What tests of the end of a pod ask of a decision."""

from __future__ import annotations

from typing import Any

from tests.core.given import at
from vkprovider.core.actions import (
    Decision,
    SignalContainer,
    SignalSent,
)
from vkprovider.core.record import Ending, PodRecord, Stop
from vkprovider.model.refs import ContainerID

EXEC = {"exec": {"command": ["true"]}}
FORGIVEN = "Force this container to be success({}, Error, )"


def signals(decision: Decision) -> list[tuple[str, str]]:
    return [(a.key, a.signal or "TERM") for a in decision.actions if isinstance(a, SignalContainer)]


def confirmed(before: Decision, *more: Any) -> dict[str, Any]:
    """The record of a decision, and the news that its signals were sent."""
    sent = [a for a in before.actions if isinstance(a, SignalContainer)]
    news = tuple(SignalSent(key=a.key, container_id=a.container_id, signal=a.signal) for a in sent)
    return {"record": before.record, "news": news + more}


def published(decision: Decision, name: str) -> dict[str, Any]:
    statuses = decision.status.get("initContainerStatuses", []) + decision.status["containerStatuses"]
    return next(s for s in statuses if s["name"] == name)


ENDED = Ending(cause="Completed", began_at=at(10), deadline=at(40))


def stopped(*names: str, cause: str = "end", term: bool = True) -> PodRecord:
    stops = {
        ContainerID(f"{n}-0"): Stop(cause=cause, kill_at=at(40), term_at=at(10) if term else None, term_sent=term)
        for n in names
    }
    return PodRecord(start_time=at(0), ending=ENDED, stops=stops)
