from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fakes.api_store import RefusedError, check_status_change
from tests.fakes.strategic_merge import apply
from tests.kube.pods import condition, container_status, pod
from vkprovider.kube.pods.status_merge import merge, owned, pruned, published_part, status_patch

NOW = "2026-01-01T12:00:00Z"
EARLIER = "2026-01-01T11:00:00Z"


def merged(old: dict[str, Any], ours: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return merge(pod("p", status=old, spec=spec), ours, NOW).status


def test_what_others_write_stays() -> None:
    old = {"nominatedNodeName": "x", "conditions": [condition("DisruptionTarget"), condition("Ready", "False")]}
    ours = {"phase": "Running", "conditions": [condition("Ready")]}
    status = merged(old, ours)
    assert status["nominatedNodeName"] == "x"
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [("DisruptionTarget", "True"), ("Ready", "True")]


def test_a_transition_time_changes_only_with_the_status() -> None:
    old = {"conditions": [condition("Ready", at=EARLIER), condition("Initialized", "False", at=EARLIER)]}
    status = merged(old, {"phase": "Running", "conditions": [condition("Ready"), condition("Initialized")]})
    assert [c["lastTransitionTime"] for c in status["conditions"]] == [EARLIER, condition("x")["lastTransitionTime"]]


def test_what_is_set_once_stays_and_generations_only_grow() -> None:
    old = {"startTime": EARLIER, "qosClass": "Guaranteed", "observedGeneration": 3}
    status = merged(old, {"phase": "Running", "startTime": NOW, "qosClass": "Burstable", "observedGeneration": 2})
    assert (status["startTime"], status["qosClass"], status["observedGeneration"]) == (EARLIER, "Guaranteed", 3)


def test_a_pod_that_is_over_stays_over_and_unready() -> None:
    old = {"phase": "Failed", "reason": "NodeLost", "message": "gone", "conditions": [condition("Ready", "True")]}
    ours = {"phase": "Running", "conditions": [condition("Ready", "True", message="x"), condition("Initialized")]}
    status = merged(old, ours)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "NodeLost", "gone")
    ready, initialized = status["conditions"]
    assert (ready["status"], ready["reason"], ready["lastTransitionTime"]) == ("False", "PodFailed", NOW)
    assert "message" not in ready
    assert initialized["status"] == "True"


def test_a_reason_that_is_no_more_is_taken_away() -> None:
    old = {"phase": "Pending", "reason": "DaemonSetIgnored", "message": "m", "qosClass": "BestEffort"}
    new = merged(old, {"phase": "Running"})
    patch = status_patch(old, new)
    assert patch == {"phase": "Running", "reason": None, "message": None}


def test_a_patch_of_conditions_has_those_that_differ_and_the_order_of_all() -> None:
    unready = condition("Ready", "False", reason="x", message="y")
    old = {"phase": "Running", "qosClass": "BestEffort", "conditions": [condition("Foreign"), unready, condition("A")]}
    new = merged(old, {"phase": "Running", "conditions": [condition("Ready"), condition("A")]})
    patch = status_patch(old, new)
    assert set(patch) == {"conditions", "$setElementOrder/conditions"}
    assert [c["type"] for c in patch["conditions"]] == ["Ready"]
    assert (patch["conditions"][0]["reason"], patch["conditions"][0]["message"]) == (None, None)
    assert [c["type"] for c in patch["$setElementOrder/conditions"]] == ["Foreign", "Ready", "A"]


@pytest.mark.parametrize("passing", ["PodResizePending", "PodResizeInProgress"])
def test_a_resize_that_is_over_leaves_nothing_behind(passing: str) -> None:
    old = {"phase": "Running", "conditions": [condition("Foreign"), condition(passing), condition("Ready")]}
    ours = {"phase": "Running", "conditions": [condition("Ready")]}
    patch = status_patch(old, merged(old, ours))
    assert patch["conditions"] == [{"type": passing, "$patch": "delete"}]
    assert [c["type"] for c in apply(old, patch)["conditions"]] == ["Foreign", "Ready"]
    assert owned(old, ours) != owned(apply(old, patch), ours)


def test_a_new_address_replaces_the_old_one() -> None:
    old = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}
    new = merged(old, {"phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]})
    assert apply(old, status_patch(old, new))["podIPs"] == [{"ip": "10.0.0.2"}]


def test_no_container_loses_its_entry() -> None:
    old = {"containerStatuses": [container_status("a"), container_status("b")]}
    assert [c["name"] for c in merged(old, {"phase": "Failed"})["containerStatuses"]] == ["a", "b"]
    ours = {"phase": "Running", "containerStatuses": [container_status("b")]}
    assert [c["name"] for c in merged(old, ours)["containerStatuses"]] == ["b", "a"]


@pytest.mark.parametrize(
    ("policy", "section", "code", "container", "allowed"),
    [
        ("Always", "containers", 0, {}, True),
        ("OnFailure", "containers", 1, {}, True),
        ("OnFailure", "containers", 0, {}, False),
        ("Never", "containers", 1, {}, False),
        ("Always", "initContainers", 0, {}, True),
        ("OnFailure", "initContainers", 1, {}, True),
        ("OnFailure", "initContainers", 0, {}, False),
        ("Never", "initContainers", 1, {}, False),
        ("Never", "initContainers", 0, {"restartPolicy": "Always"}, True),
        ("Never", "containers", 1, {"restartPolicy": "Never", "restartPolicyRules": [{}]}, True),
        ("Always", "ephemeralContainers", 1, {}, False),
    ],
)
def test_a_container_leaves_its_end_only_where_the_api_server_lets_it(
    policy: str, section: str, code: int, container: dict[str, Any], allowed: bool
) -> None:
    field = section.removesuffix("s") + "Statuses"
    spec = {"restartPolicy": policy, section: [{"name": "c", **container}]}
    old = {field: [container_status("c", code)]}
    ours = {"phase": "Running", field: [container_status("c")]}
    result = merge(pod("p", status=old, spec=spec), ours, NOW)
    assert ("running" in result.status[field][0]["state"]) is allowed
    assert result.held_back == (() if allowed else ("c",))


def test_a_user_that_was_seen_once_stays_with_its_container() -> None:
    user = {"linux": {"uid": 1, "gid": 1}}
    seen = container_status("a") | {"containerID": "docker://1", "user": user}
    old = {"phase": "Running", "containerStatuses": [seen]}

    def shown(container_id: str, **more: Any) -> Any:
        now = container_status("a", 3) | {"containerID": container_id} | more
        result = merge(pod("p", status=old), {"phase": "Running", "containerStatuses": [now]}, NOW)
        assert result.held_back == ()
        return result.status["containerStatuses"][0].get("user")

    assert shown("docker://1") == user
    assert shown("docker://2") is None
    assert shown("docker://1", user={"linux": {"uid": 2, "gid": 2}}) == {"linux": {"uid": 2, "gid": 2}}


def test_what_a_kubelet_wrote_is_told_from_the_rest() -> None:
    status = {"phase": "Failed", "nominatedNodeName": "x", "conditions": [condition("Ready"), condition("Foreign")]}
    assert published_part(status) == {"phase": "Failed", "conditions": [condition("Ready")]}


# --- properties -----------------------------------------------------------------------------------------------

TIMES = st.sampled_from([EARLIER, NOW])
TYPES = ["Foreign", "DisruptionTarget", "Ready", "ContainersReady", "Initialized"]
PHASES = st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])


def conditions(types: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.builds(
        condition,
        st.sampled_from(types),
        st.sampled_from(["True", "False"]),
        at=TIMES,
        reason=st.sampled_from(["", "R"]),
        message=st.sampled_from(["", "M"]),
    )
    return st.lists(one, unique_by=lambda c: c["type"])


def containers(names: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.builds(container_status, st.sampled_from(names), st.sampled_from([None, 0, 1]))
    return st.lists(one, unique_by=lambda c: c["name"])


def statuses(types: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    addresses = st.sampled_from([{}, *({"podIP": ip, "podIPs": [{"ip": ip}]} for ip in ("10.0.0.1", "10.0.0.2"))])
    fields = st.fixed_dictionaries(
        {"phase": PHASES, "conditions": conditions(types), "containerStatuses": containers("ab")},
        optional={
            "reason": st.sampled_from(["", "R"]),
            "message": st.sampled_from(["", "M"]),
            "initContainerStatuses": containers("is"),
            "observedGeneration": st.integers(1, 3),
            "startTime": TIMES,
            "qosClass": st.sampled_from(["BestEffort", "Burstable"]),
        },
    )
    return st.builds(lambda status, address: status | address, fields, addresses)


SPECS = st.builds(
    lambda policy: {
        "restartPolicy": policy,
        "containers": [{"name": "a"}, {"name": "b"}],
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
    },
    st.sampled_from(["Always", "OnFailure", "Never"]),
)


def unordered(status: dict[str, Any]) -> Any:
    """Nothing is written for the order of conditions alone."""
    return pruned(status | {"conditions": sorted(status["conditions"] or (), key=lambda c: c["type"])})


@given(statuses(TYPES), statuses(TYPES[2:]), SPECS)
def test_the_patch_leads_to_the_merged_status(old: dict[str, Any], ours: dict[str, Any], spec: dict[str, Any]) -> None:
    new = merge(pod("p", status=old, spec=spec), ours, NOW).status
    assert unordered(apply(old, status_patch(old, new))) == unordered(new)


@given(statuses(TYPES), statuses(TYPES[2:]), SPECS)
def test_once_written_nothing_is_left_to_write(old: dict[str, Any], ours: dict[str, Any], spec: dict[str, Any]) -> None:
    there = pod("p", status=old, spec=spec)
    new = merge(there, ours, NOW).status
    again = merge(there | {"status": new}, ours, "2026-01-01T13:00:00Z").status
    assert status_patch(new, again) == {}


@given(statuses(TYPES), statuses(TYPES[2:]), SPECS)
def test_the_api_server_takes_every_merged_status(
    old: dict[str, Any], ours: dict[str, Any], spec: dict[str, Any]
) -> None:
    there = pod("p", status=old, spec=spec)
    check_status_change(there, merge(there, ours, NOW).status)


@given(statuses(TYPES), statuses(TYPES[2:]), SPECS)
def test_nothing_is_held_back_that_it_would_take(
    old: dict[str, Any], ours: dict[str, Any], spec: dict[str, Any]
) -> None:
    there = pod("p", status=old, spec=spec)
    held_back = merge(there, ours, NOW).held_back
    assume(held_back)
    with pytest.raises(RefusedError):
        check_status_change(there, ours | {"qosClass": there["status"]["qosClass"]})


@given(statuses(TYPES), statuses(TYPES[2:]), SPECS)
def test_others_conditions_are_never_touched(old: dict[str, Any], ours: dict[str, Any], spec: dict[str, Any]) -> None:
    new = merge(pod("p", status=old, spec=spec), ours, NOW).status
    mine = {c["type"] for c in ours["conditions"]}
    assert [c for c in new["conditions"] if c["type"] not in mine] == [
        c for c in old["conditions"] if c["type"] not in mine
    ]


@given(statuses(TYPES), statuses(TYPES[2:]))
def test_our_part_is_blind_for_what_others_change(old: dict[str, Any], ours: dict[str, Any]) -> None:
    others = {"nominatedNodeName": "x", "conditions": [*old["conditions"], condition("Other")]}
    assert owned(old | others, ours) == owned(old, ours)
