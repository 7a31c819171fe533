"""What a pod source makes of the pods that earlier processes left on the node."""

from __future__ import annotations

from tests.core.given import at, given
from tests.kube.pods import condition, container_status, pod
from tests.kube.source import U1, Saved, listed, nobody, web
from vkprovider.core.decide import decide
from vkprovider.core.record import Ending, PodRecord
from vkprovider.kube.pods.source import of_namespace
from vkprovider.kube.reflector import Changed, Removed, Replaced
from vkprovider.model.observed import PodObservation
from vkprovider.model.pod import decode_pod
from vkprovider.model.refs import PodUID


def test_a_pod_that_was_left_goes_on_with_its_record() -> None:
    record = PodRecord(ips=("10.0.0.1",))
    world = listed(web(), left={U1: Saved(record, web())}, door=nobody)
    assert world.synced[0][1] is record


def test_a_pod_that_was_deleted_meanwhile_is_ended() -> None:
    record = PodRecord(ips=("10.0.0.1",))
    world = listed(left={U1: Saved(record, web())})
    assert world.graces() == [("web", 1)]
    assert world.synced[0][1] is record
    assert world.lost == {U1}
    world.take(Replaced(()))
    assert len(world.synced) == 1


def test_what_cannot_be_read_of_a_left_pod_stops_nobody() -> None:
    left = {PodUID("broken"): Saved(PodRecord(), {"spec": 5}), U1: Saved(PodRecord(), web())}
    assert listed(left=left).graces() == [("web", 1)]


def test_a_pod_that_is_over_is_never_run_again() -> None:
    status = {"phase": "Succeeded", "containerStatuses": [container_status("app", 0)], "conditions": [condition("X")]}
    (known, record), *others = listed(web(status=status), door=nobody).synced
    assert not others
    assert record is not None
    assert record.final == {"phase": "Succeeded", "qosClass": "BestEffort", "conditions": []} | {
        "containerStatuses": status["containerStatuses"]
    }
    decision = decide(given(known, record=record, observed=PodObservation(), sandboxes=()))
    assert decision.actions == ()
    assert decision.status["phase"] == "Succeeded"


def test_a_pod_that_is_over_keeps_what_was_written_down_of_it() -> None:
    final = {"phase": "Succeeded"}
    record = PodRecord(final=final)
    world = listed(web(status={"phase": "Succeeded"}), left={U1: Saved(record, web())})
    assert world.synced[0][1] is record


def test_a_pod_that_others_called_over_meanwhile_is_ended_from_what_was_written_down_of_it() -> None:
    record = PodRecord(ips=("10.0.0.1",))
    (known, taken) = listed(web(status={"phase": "Failed"}), left={U1: Saved(record, web())}).synced[0]
    assert taken is record
    decision = decide(given(known, record=record))
    assert decision.record.ending == Ending(cause="Overruled", began_at=at(100), deadline=at(130), failed=True)


def test_the_node_is_told_that_others_call_a_pod_over_but_not_that_it_is_deleted() -> None:
    world = listed(web())
    world.publish(world.last, {"phase": "Running"})
    world.take(Changed(web(status={"phase": "Failed"})))
    assert (len(world.synced), world.last.status.phase) == (2, "Failed")
    assert world.graces() == [("web", None), ("web", None)]
    world.take(Changed(web(status={"phase": "Failed"})))
    assert len(world.synced) == 2


def test_a_pod_that_we_call_over_is_left_as_it_is() -> None:
    world = listed(web())
    world.publish(world.last, {"phase": "Failed"})
    world.take(Changed(web(status={"phase": "Failed"})))
    assert len(world.synced) == 1


def test_a_node_for_one_namespace_hears_of_what_was_left_there_only() -> None:
    other = web(metadata={"namespace": "other"})
    left = {
        U1: Saved(PodRecord(), web()),
        PodUID("u2"): Saved(PodRecord(), other),
        PodUID("u3"): Saved(PodRecord(), {}),
    }
    assert of_namespace("default", left).keys() == {U1}
    assert of_namespace("", left) == left


def test_what_nobody_knows_is_ended_and_known_from_then_on() -> None:
    world = listed(web())
    assert world.source.known() == {U1}
    world.source.end_unknown(decode_pod(pod("stray", uid="u2")))
    assert world.graces() == [("web", None), ("stray", 1)]
    assert world.lost == {"u2"}
    assert world.source.known() == {U1, "u2"}


def test_a_pod_that_still_ends_without_an_object_is_known() -> None:
    world = listed(web()).take(Removed(web()))
    assert (world.source.pods, world.source.known()) == ((), {U1})
    world.gone(world.last)
    assert world.source.known() == set()
