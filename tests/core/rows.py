"""A language for tables of rules: each row shows a pod, and says what stands at one place of its status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tests.core.given import container, given, native, pod
from tests.core.told import EXEC
from vkprovider.core.decide import decide
from vkprovider.model.observed import ContainerState
from vkprovider.model.pod import Pod

NEVER = pod(container("app"))
ALWAYS = pod(container("app"), policy="Always")
ON_FAILURE = pod(container("app"), policy="OnFailure")
INIT = pod(container("app"), inits=(container("init"),))
SIDE = pod(container("app"), inits=(native("side"),), policy="Always")
PROBED_SIDE = pod(container("app"), inits=(native("side", startupProbe=EXEC),))
TWO = pod(container("a"), container("b"), policy="Always")
REQUESTS = {"cpu": "100m", "memory": "64Mi"}
SIZED = pod(container("app", resources={"requests": REQUESTS, "limits": {"memory": "128Mi"}}), policy="Always")
BACKED_OFF = {"attempt": 1, "start": 90, "end": 99, "backoff_seconds": 10}


class Row(msgspec.Struct, frozen=True):
    """``place`` is a field of the status, or one of a container or condition: ``app.state.waiting``, ``Ready.status``.

    ``more`` is what ``given`` takes besides the pod and its instances.
    """

    rule: str
    of: Pod
    instances: tuple[ContainerState, ...]
    place: str
    shows: Any
    more: dict[str, Any] = {}


def broken(row: Row) -> list[str]:
    """Where the status differs from what the row says. Of mappings only the keys that it names are looked at."""
    return list(within(row.shows, shown(row)))


def shown(row: Row) -> Any:
    """What stands at a row's place, times cut to the time of day; None where nothing does."""
    status = decide(given(row.of, *row.instances, **row.more)).status
    head, *rest = row.place.split(".")
    containers = status["containerStatuses"] + status.get("initContainerStatuses", [])
    named = {one["name"]: one for one in containers} | {one["type"]: one for one in status["conditions"]}
    found = named.get(head, status.get(head))
    for key in rest:
        found = found.get(key) if found is not None else None
    return times_of_day(found)


def times_of_day(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: times_of_day(item) for key, item in value.items()}
    return value[11:-1] if isinstance(value, str) and value.startswith("2026-") else value


def within(expected: Any, found: Any) -> Iterator[str]:
    """Where what is found lacks what is expected; of mappings only the keys that are named are looked at."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            yield from within(value, found.get(key))
    elif expected != found:
        yield f"{expected!r} is expected, {found!r} is there"
