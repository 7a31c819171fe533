"""Statuses in the API: what others wrote stays, what they say of a pod's end counts, and nothing is said too early."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .clients import Cluster
from .nodes import IMAGE, NodeProcess, on, shell
from .showing import Json, Showing, apply, container_status, events_of, in_docker, pod, showing, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

MARK = [{"name": "__IS_SIDECAR__", "value": "true"}]
POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
SEEN = {"type": "example.com/Seen", "status": "True", "reason": "Test", "message": "by somebody else"}


class Subject:
    """A pod that somebody else meddles with."""

    name = "subject"

    def __init__(self, cluster: Cluster, namespace: str, node: NodeProcess, shown: Showing) -> None:
        self.cluster = cluster
        self.there = f"--namespace={namespace}"
        self.namespace = namespace
        self.node = node
        self.shown = shown

    def create(self, *containers: Json, **spec: Any) -> None:
        body = on(self.node.name, *containers, automountServiceAccountToken=False, **spec)
        apply(self.cluster, self.namespace, pod(self.name, body))

    def patch(self, patch: Json, *flags: str) -> None:
        self.cluster.kubectl("patch", "pod", self.name, self.there, f"--patch={json.dumps(patch)}", *flags)

    def say(self, status: Json) -> None:
        """Write a part of its status, as a controller would."""
        self.patch({"status": status}, "--subresource=status")

    @property
    def uid(self) -> str:
        return str(self.shown.objects(self.name)[-1]["metadata"]["uid"])

    def condition(self, kind: str) -> Json:
        conditions = self.shown.last(self.name).get("conditions", ())
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def until_condition(self, kind: str, status: str) -> Json:
        eventually(lambda: self.condition(kind).get("status") == status)
        return self.condition(kind)

    def delete(self) -> None:
        self.cluster.kubectl("delete", "pod", self.name, self.there, "--ignore-not-found")
        until_nothing_is_left(self.node)


@pytest.fixture
def subject(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Subject]:
    with showing(cluster, namespace) as shown:
        subject = Subject(cluster, namespace, node, shown)
        yield subject
        subject.delete()


def running(node: NodeProcess) -> list[str]:
    """The names of the containers that run on a node, sandboxes left out."""
    label = f"--filter=label=vkprovider.node={node.name}"
    kind = "--filter=label=vkprovider.type=container"
    return subprocess.check_output(["docker", "ps", label, kind, "--format={{.Names}}"], text=True).split()


def test_conditions_of_others_stay_and_readiness_gates_count(subject: Subject) -> None:
    gate = "example.com/gate"
    subject.create(shell("app", POLITE), readinessGates=[{"conditionType": gate}])
    subject.until_condition("ContainersReady", "True")
    closed = subject.condition("Ready")
    assert (closed["status"], closed["reason"]) == ("False", "ReadinessGatesNotReady")
    assert closed["message"] == f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    subject.say({"conditions": [SEEN, {"type": gate, "status": "True"}]})
    subject.until_condition("Ready", "True")
    subject.say({"conditions": [{"type": gate, "status": "False"}]})
    closed = subject.until_condition("Ready", "False")
    assert closed["message"] == f'the status of pod readiness gate "{gate}" is not "True", but False'
    subject.delete()
    last = {condition["type"]: condition for condition in subject.shown.last("subject")["conditions"]}
    assert {key: last["example.com/Seen"][key] for key in SEEN} == SEEN
    assert last["Ready"]["reason"] == "PodCompleted"


def test_what_others_change_in_our_part_is_put_right(subject: Subject) -> None:
    subject.create(shell("app", POLITE))
    subject.until_condition("Ready", "True")
    subject.say({"conditions": [{"type": "Ready", "status": "False", "reason": "Meddling"}]})
    subject.until_condition("Ready", "False")
    assert "reason" not in subject.until_condition("Ready", "True")


def test_the_status_says_which_generation_it_is_of_and_a_deadline_that_is_set_later_counts(subject: Subject) -> None:
    subject.create(shell("app", POLITE))
    subject.shown.until_phase("subject", "Running")
    if "observedGeneration" not in subject.shown.last("subject"):
        pytest.skip("this API server does not know status.observedGeneration, new in 1.33")
    assert subject.shown.last("subject")["observedGeneration"] == 1
    subject.patch({"spec": {"containers": [{"name": "app", "image": f"docker.io/{IMAGE}"}]}})
    eventually(lambda: subject.shown.last("subject")["observedGeneration"] == 2)
    subject.patch({"spec": {"activeDeadlineSeconds": 1}})
    subject.shown.until_phase("subject", "Failed")
    last = subject.shown.last("subject")
    deadline = "Pod was active on the node longer than the specified deadline"
    assert (last["reason"], last["message"], last["observedGeneration"]) == ("DeadlineExceeded", deadline, 3)
    assert {condition["observedGeneration"] for condition in last["conditions"]} == {3}
    eventually(lambda: ("DeadlineExceeded", deadline) in events_of(subject.cluster, subject.namespace, "subject"))


def test_a_pod_is_over_only_when_nothing_of_it_runs(subject: Subject) -> None:
    slow = "trap 'sleep 1; exit 0' TERM; sleep 1000 & wait"
    subject.create(shell("app", "sleep 1"), shell("sidecar", slow, env=MARK), terminationGracePeriodSeconds=30)
    subject.shown.until("subject", "app", "terminated")
    assert subject.shown.last("subject")["phase"] == "Running"
    subject.shown.until_phase("subject", "Succeeded")
    assert running(subject.node) == []
    for status in subject.shown.statuses("subject"):
        ends = ["terminated" in each["state"] for each in status.get("containerStatuses", ())]
        assert all(ends) == (status["phase"] == "Succeeded") or not ends


@pytest.mark.parametrize("away", [False, True], ids=["node there", "node away"])
def test_a_pod_that_somebody_else_fails_is_ended_in_order_and_keeps_its_logs(subject: Subject, away: bool) -> None:
    """Its containers end as if it had come to its end by itself, and stay, with their logs, as long as its object."""
    script = "echo seen here; trap 'sleep 1; cat /proc/uptime; exit 0' TERM; sleep 1000 & wait"
    subject.create(shell("app", script), shell("sidecar", script, env=MARK), terminationGracePeriodSeconds=30)
    subject.shown.until_phase("subject", "Running")
    if away:
        subject.node.kill()
    subject.say({"phase": "Failed", "reason": "NodeLost", "message": "somebody else says so"})
    if away:
        subject.node.start()
    for container in ("app", "sidecar"):
        subject.shown.until("subject", container, "terminated", seconds=10)
    eventually(lambda: len(in_docker(subject.node, subject.uid)) == 2, 5)
    ends = [logs(subject, container) for container in ("app", "sidecar")]
    assert all(lines[0] == "seen here" for lines in ends)
    assert float(ends[0][1].split()[0]) + 1 <= float(ends[1][1].split()[0])
    last = subject.shown.last("subject")
    assert (last["phase"], last["reason"], last["message"]) == ("Failed", "NodeLost", "somebody else says so")
    assert container_status(last, "app")["state"]["terminated"]["exitCode"] == 0


def logs(subject: Subject, container: str) -> list[str]:
    name = f"k8s_{container}_subject_{subject.namespace}_{subject.uid}_0"
    return subprocess.check_output(["docker", "logs", name], text=True).splitlines()
