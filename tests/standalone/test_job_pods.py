"""What a Job's pods are made like, and what is read from them."""

from __future__ import annotations

import copy
import re
from itertools import islice

import pytest

from tests.standalone.job_given import JOB_UID, at, ended, job, job_raw, pod, pod_raw
from vkprovider.model.job import decode_job
from vkprovider.standalone.job_template import Place, free_ordinals, make_pod, name_suffix
from vkprovider.standalone.pod_facts import read_pod


def test_a_pod_carries_the_template_and_its_owner() -> None:
    made = make_pod(job(), Place(ordinal=0), at(0.7))
    meta = made["metadata"]
    assert re.fullmatch(r"work-[bcdfghjklmnpqrstvwxz2456789]{5}", meta["name"])
    assert meta["namespace"] == "default"
    assert meta["creationTimestamp"] == "2024-05-01T12:00:00Z"
    assert meta["labels"] == {
        "team": "blue",
        "controller-uid": JOB_UID,
        "job-name": "work",
        "batch.kubernetes.io/controller-uid": JOB_UID,
        "batch.kubernetes.io/job-name": "work",
    }
    assert meta["ownerReferences"] == [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": "work",
            "uid": JOB_UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert made["spec"] == job_raw()["spec"]["template"]["spec"]


def test_an_indexed_pod_is_told_its_index() -> None:
    raw = job_raw(completionMode="Indexed", completions=3)
    spec = raw["spec"]["template"]["spec"]
    spec["initContainers"] = [{"name": "init", "image": "busybox"}]
    spec["containers"].append({"name": "own", "env": [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]})
    before = copy.deepcopy(raw)
    made = make_pod(decode_job(raw), Place(ordinal=7, index=2, failures=(1, 3)), at(0))
    assert raw == before
    key = "batch.kubernetes.io/job-completion-index"
    told = {"name": "JOB_COMPLETION_INDEX"}
    told["valueFrom"] = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{key}']"}}
    assert re.fullmatch(r"work-2-[a-z0-9]{5}", made["metadata"]["name"])
    assert made["metadata"]["labels"][key] == "2"
    assert made["metadata"]["annotations"] == {
        key: "2",
        "batch.kubernetes.io/job-index-failure-count": "1",
        "batch.kubernetes.io/job-index-ignored-failure-count": "3",
    }
    assert made["spec"]["hostname"] == "work-2"
    assert made["spec"]["initContainers"][0]["env"] == [told]
    assert [c["env"] for c in made["spec"]["containers"]] == [
        [told],
        [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}],
    ]
    assert read_pod(made).index == 2


def test_a_manual_selector_adds_no_labels() -> None:
    made = make_pod(job(manualSelector=True), Place(ordinal=0), at(0))
    assert made["metadata"]["labels"] == {"team": "blue"}


@pytest.mark.parametrize(("index", "prefix"), [(None, "n" * 58), (12, "n" * 54 + "-12-")], ids=["plain", "indexed"])
def test_long_names_are_cut_to_63_characters(index: int | None, prefix: str) -> None:
    made = make_pod(job(name="n" * 63), Place(ordinal=0, index=index), at(0))
    assert made["metadata"]["generateName"] == prefix
    assert len(made["metadata"]["name"]) == 63


def test_names_and_uids_follow_from_the_ordinal() -> None:
    first, again, second = (make_pod(job(), Place(ordinal=n), at(0))["metadata"] for n in (0, 0, 1))
    assert first == again
    assert first["uid"] != second["uid"]
    assert first["name"] != second["name"]


def test_ordinals_already_taken_are_passed_over() -> None:
    owner = job()
    assert list(islice(free_ordinals(owner, []), 3)) == [0, 1, 2]
    # Of three pods the second was lost before it was written down: its successors are not doubled.
    assert list(islice(free_ordinals(owner, [pod(owner, 0), pod(owner, 2)]), 2)) == [3, 4]


def test_a_name_is_never_given_twice() -> None:
    owner, many = job(), 20_000
    assert len({name_suffix(owner, ordinal) for ordinal in range(many)}) < many
    assert len({name_suffix(owner, ordinal) for ordinal in islice(free_ordinals(owner, []), many)}) == many


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        ({}, 9),
        ({"containers": [ended(0, 9), {"terminated": {"exitCode": 1, "finishedAt": None}}]}, 4),
        ({"containers": [ended(0, 9), {"running": {}}]}, 4),
        ({"containers": [], "conditions": []}, 3),
        ({"containers": [], "conditions": [], "deletionTimestamp": None}, 1),
        ({"sidecar": ended(0, 12)}, 12),
        ({"init": ended(0, 12)}, 9),
    ],
    ids=["containers", "an end unknown", "one runs on", "deletion", "creation", "native sidecar", "init container"],
)
def test_when_a_pod_finished(change: dict[str, object], seconds: float) -> None:
    raw = pod_raw(job(), 0, "Failed", created=1, deleted=3)
    states = change.get("containers", [ended(0, 8), ended(1, 9)])
    assert isinstance(states, list)
    raw["spec"]["initContainers"] = [{"name": "sidecar", "restartPolicy": "Always"}, {"name": "init"}]
    raw["status"]["containerStatuses"] = [{"name": str(n), "state": state} for n, state in enumerate(states)]
    named = [{"name": name, "state": change[name]} for name in ("sidecar", "init") if name in change]
    raw["status"]["initContainerStatuses"] = named
    unready = {"type": "Ready", "status": "False", "lastTransitionTime": "2024-05-01T12:00:04Z"}
    raw["status"]["conditions"] = change.get("conditions", [unready])
    if "deletionTimestamp" in change:
        raw["metadata"]["deletionTimestamp"] = None
    assert read_pod(raw).finished_at == at(seconds)
