from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from tests.kube.pods import condition, pod
from tests.kube.quick_clock import T0
from tests.kube.source import DELETED, U1, Saved, World, listed, nobody, web
from vkprovider.core.claims import Claim, claim
from vkprovider.core.record import PodRecord
from vkprovider.kube.reflector import Changed, Removed, Replaced
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.pod import Pod
from vkprovider.model.refs import PodUID


def test_the_node_hears_of_each_pod_once_the_oldest_first() -> None:
    young = pod("young", uid="u2", metadata={"creationTimestamp": "2026-01-01T11:30:00Z"})
    world = listed(young, web())
    assert world.graces() == [("web", None), ("young", None)]
    world.take(Replaced((young, web())), Changed(web()))
    assert len(world.synced) == 2
    assert {p.key.name for p in world.source.pods} == {"web", "young"}


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": DELETED},
        {"spec": {"activeDeadlineSeconds": 5}},
    ],
)
def test_a_change_that_matters_wakes_the_node(change: dict[str, Any]) -> None:
    world = listed(web()).take(Changed(web(**change)))
    assert len(world.synced) == 2
    assert world.last.raw["metadata"] == web(**change)["metadata"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"phase": "Running", "conditions": [condition("Ready")]}},
        {"metadata": {"resourceVersion": "99", "managedFields": [{"manager": "kubelet"}]}},
        {"metadata": {"finalizers": ["x"]}},
    ],
)
def test_what_the_node_said_itself_wakes_nobody(change: dict[str, Any]) -> None:
    assert len(listed(web()).take(Changed(web(**change))).synced) == 1


def test_readiness_gates_wake_the_node() -> None:
    gate = {"readinessGates": [{"conditionType": "example.com/gate"}]}
    world = listed(web(spec=gate))
    for status in ("False", "False", "True"):
        world.take(Changed(web(spec=gate, status={"conditions": [condition("example.com/gate", status)]})))
    assert len(world.synced) == 3
    assert world.last.status.conditions[0].status == "True"


def test_the_record_of_who_set_what_is_not_carried_along() -> None:
    assert "managedFields" not in listed(web(metadata={"managedFields": [{}]})).last.raw["metadata"]


# --- pods whose object is gone --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["removed", "missing"])
def test_a_pod_whose_object_is_gone_is_ended_as_a_deleted_one(how: str) -> None:
    world = listed(web(spec={"terminationGracePeriodSeconds": 7}))
    world.take(Removed(web(spec={"terminationGracePeriodSeconds": 7})) if how == "removed" else Replaced(()))
    assert world.graces() == [("web", None), ("web", 7)]
    assert world.last.metadata.deletion_timestamp == T0
    assert world.lost == {U1}
    assert world.source.pods == ()


@pytest.mark.parametrize(("asked", "given"), [(0, 1), (1, 1), (30, 30)])
def test_a_forced_deletion_leaves_a_second(asked: int, given: int) -> None:
    marked = web(metadata=DELETED | {"deletionGracePeriodSeconds": asked})
    world = listed(web()).take(Changed(marked), Removed(marked))
    assert world.graces() == [("web", None), ("web", given), ("web", given)]
    assert listed(marked).graces() == [("web", given)]  # it is the first thing this process sees of the pod


def test_nothing_is_ended_before_the_first_list() -> None:
    world = World(left={U1: Saved(PodRecord(), web())})
    assert not world.source.listed.is_set()
    assert world.synced == []
    world.take(Replaced((web(),)))
    assert world.source.listed.is_set()
    assert world.graces() == [("web", None)]


def test_a_pod_that_is_gone_from_the_node_is_not_begun_again() -> None:
    marked = web(metadata=DELETED | {"finalizers": ["x"]})
    world = listed(web()).take(Changed(marked))
    world.gone(world.last)
    world.take(Changed(web(metadata=DELETED | {"labels": {"a": "b"}})), Replaced((marked,)), Removed(marked))
    assert len(world.synced) == 2


def test_the_same_name_under_another_uid_is_another_pod() -> None:
    again = pod("web", uid="u2")
    world = listed(web()).take(Removed(web()), Changed(again))
    assert [(p.uid, p.metadata.deletion_timestamp is not None) for p, _ in world.synced] == [
        ("u1", False),
        ("u1", True),
        ("u2", False),
    ]
    world = listed(web()).take(Replaced((again,)))
    assert [(p.uid, p.metadata.deletion_timestamp is not None) for p, _ in world.synced] == [
        ("u1", False),
        ("u2", False),
        ("u1", True),
    ]


# --- pods that are not let in ---------------------------------------------------------------------------------


def test_a_pod_that_is_turned_away_never_reaches_the_node() -> None:
    world = listed(web(), door=nobody).take(Changed(web(metadata={"labels": {"a": "b"}})))
    assert world.synced == []
    assert world.published == {U1: {"phase": "Failed"}}
    assert [event.reason for event in world.events] == ["NodeAffinity"]
    world.take(Removed(web()))
    assert world.synced == []
    assert (world.lost, world.over) == ({U1}, {U1})


def test_a_pod_that_is_turned_away_can_be_deleted() -> None:
    world = listed(web(), door=nobody)
    assert world.over == set()
    world.take(Changed(web(metadata=DELETED)))
    assert world.over == {U1}


def test_the_door_is_asked_for_new_pods_only_and_knows_who_is_in() -> None:
    asked: list[tuple[str, int]] = []

    def door(pod: Pod, others: Iterable[Claim]) -> None:
        asked.append((pod.metadata.name, len(list(others))))

    old = pod("old", uid="u0")
    over = pod("over", uid="u9", status={"phase": "Succeeded"})
    going = pod("going", uid="u8", metadata=DELETED)
    world = listed(over, old, going, web(), door=door, left={PodUID("u0"): Saved(PodRecord(), old)})
    assert asked == [("web", 2)]
    world.published[U1] = {"phase": "Succeeded"}
    world.take(Changed(pod("next", uid="u2")), Changed(web(metadata={"labels": {"a": "b"}})))
    assert asked[1:] == [("next", 2)]


def test_others_count_by_what_they_were_given() -> None:
    asked: list[list[int]] = []

    def door(pod: Pod, others: Iterable[Claim]) -> None:
        asked.append([other.amounts.get("cpu", 0) for other in others])

    def wanting(cpu: str) -> dict[str, Any]:
        return {"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]}

    allocated = {"app": ResourceRequirements(requests={"cpu": "1"})}
    old = pod("old", uid="u0", spec=wanting("8"))
    world = listed(old, web(), door=door, left={PodUID("u0"): Saved(PodRecord(allocated=allocated), old)})
    world.claims[PodUID("u0")] = Claim(amounts={"cpu": 1500})
    world.take(Changed(pod("next", uid="u2")))
    assert asked == [[1000], [1500, 0]]


def picky(pod: Pod, others: Iterable[Claim]) -> None:
    claim(pod)
    list(others)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"containers": 5}, "spec.containers: Expected `array`, got `int`"),
        ({"overhead": {"cpu": "lots"}}, "lots"),
    ],
)
def test_a_pod_that_cannot_be_read_fails_with_an_event(spec: dict[str, Any], words: str) -> None:
    world = listed(web(spec=spec), pod("fine", uid="u2"), door=picky)
    assert world.graces() == [("fine", None)]
    status = world.published[U1]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert words in status["message"]
    (event,) = world.events
    assert (event.type, event.reason) == ("Warning", "InvalidSpec")
    assert words in event.message
    again = listed(web(spec=spec, status=status), pod("fine", uid="u2"), door=picky)
    assert (again.published, again.events) == ({}, [])


def test_an_unreadable_claim_of_a_pod_that_is_in_keeps_nobody_out() -> None:
    left = {U1: Saved(PodRecord(), web())}
    world = listed(web(spec={"overhead": {"cpu": "lots"}}), pod("fine", uid="u2"), door=picky, left=left)
    assert world.graces() == [("web", None), ("fine", None)]


def test_a_pod_that_could_be_read_once_goes_on_as_it_was() -> None:
    world = listed(web()).take(Changed(web(spec={"containers": 5}, metadata=DELETED)))
    assert world.graces() == [("web", None), ("web", 30)]
    assert [c.name for c in world.last.spec.containers] == ["app"]
    world = listed(web(spec={"containers": 5}), left={U1: Saved(PodRecord(), web())})
    assert world.graces() == [("web", None)]
    assert world.published == {}


def test_one_pod_that_goes_wrong_stops_no_other() -> None:
    def moody(pod: Pod, others: Iterable[Claim]) -> None:
        if pod.metadata.name == "web":
            raise RuntimeError("a bug")

    assert listed(web(), pod("fine", uid="u2"), door=moody).graces() == [("fine", None)]


async def test_it_runs_on_updates() -> None:
    world = World()

    async def updates() -> Any:
        yield Replaced((web(),))
        yield Changed(web(metadata=DELETED))

    await world.source.run(updates())
    await asyncio.wait_for(world.source.listed.wait(), 1)
    assert world.graces() == [("web", None), ("web", 30)]


# --- what is not honoured -------------------------------------------------------------------------------------


def test_one_event_names_the_fields_that_are_not_honoured() -> None:
    asking = {"schedulingGates": [{"name": "a"}], "newerThanUs": True}
    world = listed(web(spec=asking)).take(Changed(web(spec=asking, metadata={"labels": {"a": "b"}})))
    (event,) = world.events
    assert (event.type, event.reason) == ("Warning", "UnsupportedField")
    assert set(event.message.split("; ")) == {
        "spec.schedulingGates: not honoured by vkprovider: nobody holds the pod back",
        "spec.newerThanUs: not honoured: vkprovider does not know this field",
    }


def test_a_container_that_is_added_later_is_looked_at_too() -> None:
    debugger = {"name": "debug", "image": "busybox", "securityContext": {"windowsOptions": {"hostProcess": True}}}
    world = listed(web()).take(Changed(web(spec={"ephemeralContainers": [debugger]})))
    (event,) = world.events
    assert event.message.startswith("spec.ephemeralContainers[0].securityContext.windowsOptions: ")


def test_a_pod_that_an_earlier_process_let_in_has_heard_it() -> None:
    left = web(spec={"newerThanUs": True})
    world = World(left={U1: Saved(PodRecord(), left)}).take(Replaced((left,)))
    assert (world.graces(), world.events) == ([("web", None)], [])
