"""A container whose environment cannot be made holds back itself alone, and starts as soon as what it lacks is there.

So OpenKruise orders starts: each container has a variable from a key of a ConfigMap, and its controller adds the keys.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import at, container, given, pod, pulled, running
from tests.core.told import published
from vkprovider.core.actions import Decision, News, ObjectChanged, StartContainer, StartFailed
from vkprovider.core.decide import decide
from vkprovider.core.record import PodMemory
from vkprovider.model.refs import ObjectRef

BARRIER = ObjectRef("ConfigMap", "default", "p-barrier")
MISSING = "couldn't find key p_0 in ConfigMap default/p-barrier"


def behind(key: str) -> dict[str, Any]:
    source = {"configMapKeyRef": {"name": BARRIER.name, "key": key}}
    return {"env": [{"name": "KRUISE_CONTAINER_BARRIER", "valueFrom": source}]}


POD = pod(container("held", **behind("p_0")), container("free"), policy="Always")
IMAGES = pulled(POD, "held", "free", attempt=0)
HELD = StartFailed(key="held", attempt=0, reason="CreateContainerConfigError", message=MISSING)


def look(memory: PodMemory, *news: News, when: float = 100, **more: Any) -> Decision:
    return decide(given(POD, *running(POD, "free"), memory=memory, news=news, when=when, **more))


def starts(decision: Decision) -> list[str]:
    return [a.key for a in decision.actions if isinstance(a, StartContainer)]


def test_the_others_start_without_it():
    held = decide(given(POD, memory=IMAGES, news=(HELD,)))
    assert starts(held) == ["free"]
    shown = published(held, "held")
    assert shown["state"] == {"waiting": {"reason": "CreateContainerConfigError", "message": MISSING}}
    assert BARRIER in held.objects


@pytest.mark.parametrize(("tries", "wait"), [(1, 1), (2, 10), (3, 10)])
def test_it_is_tried_again_after_a_second_and_then_more_slowly(tries: int, wait: float):
    """The key may have come just when it was looked for."""
    decision, now = look(IMAGES), 100.0
    for _ in range(tries):
        decision = look(decision.memory, HELD, when=now)
        assert decision.wake_at is not None
        before, now = now, (decision.wake_at - at(0)).total_seconds()
    assert now - before == wait
    assert starts(look(decision.memory, when=now)) == ["held"]


def test_it_is_tried_when_its_object_changes_and_says_until_then_what_it_lacks():
    memory = look(look(IMAGES, HELD).memory, HELD, when=101).memory
    assert starts(look(memory, when=103)) == []
    elsewhere = ObjectChanged(ref=ObjectRef("ConfigMap", "default", "other"))
    assert starts(look(memory, elsewhere, when=103)) == []
    changed = look(memory, ObjectChanged(ref=BARRIER), when=103)
    assert starts(changed) == ["held"]
    assert published(changed, "held")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
