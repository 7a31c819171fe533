"""What a decision gathers while it is made."""

from __future__ import annotations

from tests.core.given import SANDBOX, container, given, pod
from vkprovider.core.actions import PullImage, RemoveSandbox, TeardownPod
from vkprovider.core.draft import Draft
from vkprovider.core.record import PodRecord
from vkprovider.core.sidecars import classify
from vkprovider.core.standing import stand
from vkprovider.core.status import build_status

POD = pod(container("a"), container("b"))


def pull(name: str, attempt: int = 0) -> PullImage:
    return PullImage(key=name, image="busybox:1.28", policy="Always", attempt=attempt)


def test_one_action_for_each_key_and_none_where_one_is_in_flight():
    draft = Draft(given(POD, in_flight={"a": pull("a")}))
    draft.actions += [pull("a", 1), pull("b", 1), pull("b", 2)]
    assert draft.free_actions() == (pull("b", 1),)


def test_one_action_for_the_pod_as_a_whole():
    draft = Draft(given(POD))
    draft.act_on_pod(TeardownPod())
    draft.act_on_pod(RemoveSandbox(sandbox_id=SANDBOX))
    assert draft.free_actions() == (TeardownPod(),)
    busy = Draft(given(POD, in_flight={"": TeardownPod()}))
    busy.act_on_pod(RemoveSandbox(sandbox_id=SANDBOX))
    assert busy.actions == []


def test_a_mark_is_new_once():
    draft = Draft(given(POD))
    assert [draft.once("said"), draft.once("said"), draft.once("other")] == [True, False, True]


def test_a_status_without_a_start_has_no_start_time():
    view = given(POD, record=PodRecord())
    roles = classify(POD)
    status, _ = build_status(view, roles, stand(view, roles))
    assert "startTime" not in status
