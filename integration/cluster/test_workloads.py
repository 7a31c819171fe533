"""Pods that controllers make: scaled, many at once, moved away, one on each node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .clients import Cluster, KubectlError
from .identities import Access
from .nodes import NodeProcess, on, shell
from .showing import Json, apply, events_of, in_docker, pod, showing, until_nothing_is_left
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
LABELS = {"app": "test"}


def workload(kind: str, name: str, spec: Json, api: str = "apps/v1", **fields: Any) -> Json:
    """An object whose controller makes pods of `spec`."""
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    selector = {} if kind == "Job" else {"selector": {"matchLabels": LABELS}}
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name},
        "spec": selector | {"template": template} | fields,
    }


def served(node: NodeProcess, **spec: Any) -> Json:
    """A pod that runs until it is told to end."""
    return on(node.name, shell("app", POLITE), restartPolicy="Always", automountServiceAccountToken=False, **spec)


def pods(cluster: Cluster, namespace: str) -> list[Json]:
    return list(cluster.get("pods", f"--namespace={namespace}")["items"])


@pytest.fixture
def schedulable(cluster: Cluster, node: NodeProcess) -> Iterator[None]:
    """Whatever the test does, others may use the node after it."""
    yield
    cluster.kubectl("uncordon", node.name)


def test_a_deployment_is_scaled_up_and_down(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    there = f"--namespace={namespace}"
    apply(cluster, namespace, workload("Deployment", "web", served(node), replicas=0))
    for replicas in (5, 0):
        cluster.kubectl("scale", there, "deployment/web", f"--replicas={replicas}")
        cluster.kubectl("rollout", there, "status", "deployment/web", "--timeout=60s", seconds=70)
        status = cluster.get(there, "deployment/web")["status"]
        assert (status.get("readyReplicas", 0), status["observedGeneration"]) == (replicas, 2 if replicas else 3)
    until_nothing_is_left(node)
    assert pods(cluster, namespace) == []


def test_a_stateful_sets_pod_comes_back_under_its_name(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    there = f"--namespace={namespace}"
    apply(cluster, namespace, workload("StatefulSet", "db", served(node), replicas=2, serviceName="db"))
    cluster.kubectl("rollout", there, "status", "statefulset/db", "--timeout=60s", seconds=70)
    before = {each["metadata"]["name"]: each["metadata"]["uid"] for each in pods(cluster, namespace)}
    assert sorted(before) == ["db-0", "db-1"]
    cluster.kubectl("delete", there, "pod", "db-0")

    def is_back() -> bool:
        now = {each["metadata"]["name"]: each for each in pods(cluster, namespace)}
        conditions = now["db-0"]["status"].get("conditions", ()) if "db-0" in now else ()
        ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
        return ready and now["db-0"]["metadata"]["uid"] != before["db-0"]

    eventually(is_back)
    assert in_docker(node, before["db-0"]) == []
    cluster.kubectl("delete", there, "statefulset/db", "--cascade=foreground", "--timeout=30s")
    until_nothing_is_left(node)


@pytest.mark.timeout(300)
def test_fifty_jobs_at_once_complete_and_leave_nothing(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    there = f"--namespace={namespace}"
    spec = on(node.name, shell("app", "true"), automountServiceAccountToken=False)
    jobs = (workload("Job", f"job-{number}", spec, "batch/v1", backoffLimit=0) for number in range(50))
    apply(cluster, namespace, *jobs)
    cluster.kubectl("wait", there, "jobs", "--all", "--for=condition=Complete", "--timeout=180s", seconds=190)
    assert len(pods(cluster, namespace)) == 50
    cluster.kubectl("delete", there, "jobs", "--all", "--timeout=60s", seconds=70)
    until_nothing_is_left(node, 60)


@pytest.mark.usefixtures("schedulable")
def test_a_node_that_is_drained_is_empty_and_takes_pods_again_afterwards(
    cluster: Cluster, namespace: str, node: NodeProcess
) -> None:
    there = f"--namespace={namespace}"
    held = served(node, volumes=[{"name": "scratch", "emptyDir": {}}])
    bare = on(node.name, shell("app", POLITE), automountServiceAccountToken=False)
    ignored = workload("DaemonSet", "everywhere", served(node))
    apply(cluster, namespace, workload("Deployment", "web", held, replicas=2), pod("bare", bare), ignored)
    cluster.kubectl("rollout", there, "status", "deployment/web", "--timeout=60s", seconds=70)
    cluster.kubectl("wait", there, "pod/bare", "--for=condition=Ready", "--timeout=30s")

    with pytest.raises(KubectlError, match="use --force to override"):
        cluster.kubectl("drain", node.name)
    flags = ("--delete-emptydir-data", "--force", "--ignore-daemonsets", "--timeout=30s")
    cluster.kubectl("drain", node.name, *flags)
    until_nothing_is_left(node)
    waiting = {each["metadata"]["name"]: each["status"] for each in pods(cluster, namespace)}
    assert "bare" not in waiting
    assert {status["phase"] for status in waiting.values()} == {"Pending"}

    cluster.kubectl("uncordon", node.name)
    cluster.kubectl("rollout", there, "status", "deployment/web", "--timeout=60s", seconds=70)
    cluster.kubectl("delete", there, "deployment/web", "daemonset/everywhere", "--cascade=foreground", "--timeout=30s")
    until_nothing_is_left(node)


@pytest.mark.usefixtures("schedulable")
def test_a_cordoned_node_gets_no_pod(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    cluster.kubectl("cordon", node.name)
    apply(cluster, namespace, pod("kept", on(node.name, shell("app", "true"), automountServiceAccountToken=False)))
    eventually(lambda: scheduling(cluster, namespace, "kept"))
    assert all("unschedulable" in message for _, message in scheduling(cluster, namespace, "kept"))
    cluster.kubectl("uncordon", node.name)
    kept = ("wait", f"--namespace={namespace}", "pod/kept", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    cluster.kubectl(*kept, seconds=70)
    cluster.kubectl("delete", f"--namespace={namespace}", "pod/kept")
    until_nothing_is_left(node)


def scheduling(cluster: Cluster, namespace: str, name: str) -> list[tuple[str, str]]:
    """The events of a pod that cannot be scheduled; the scheduler writes them in the newer form, without a source."""
    events = cluster.get("events", f"--namespace={namespace}", f"--field-selector=involvedObject.name={name}")["items"]
    return [(event["reason"], event["message"]) for event in events if event["reason"] == "FailedScheduling"]


def test_a_daemon_set_is_left_alone_and_says_why(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    """Its pod stays as it is; a new version of it replaces it once, and not again and again."""
    there = f"--namespace={namespace}"
    with showing(cluster, namespace) as shown:
        apply(cluster, namespace, workload("DaemonSet", "everywhere", served(node)))
        eventually(lambda: [raw for _, raw in shown.updates if raw["status"].get("reason") == "DaemonSetIgnored"])
        first = shown.updates[-1][1]["metadata"]["name"]
        eventually(lambda: events_of(cluster, namespace, first))
        ((reason, message),) = events_of(cluster, namespace, first)
        assert reason == "DaemonSetIgnored"
        assert f"node {node.name} leaves pods of DaemonSets alone: to keep DaemonSet everywhere away" in message
        newer = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
        cluster.kubectl("patch", there, "daemonset/everywhere", f"--patch={json.dumps(newer)}")
        eventually(lambda: shown.is_gone(first))
        eventually(lambda: shown.last(other(shown.updates, first)).get("reason") == "DaemonSetIgnored")
        eventually(lambda: cluster.get(there, "daemonset/everywhere")["status"].get("updatedNumberScheduled") == 1)
        assert in_docker(node) == []
        cluster.kubectl("delete", there, "daemonset/everywhere", "--cascade=foreground", "--timeout=30s")
        assert {kind for kind, _ in shown.updates} >= {"DELETED"}
        assert len({raw["metadata"]["uid"] for _, raw in shown.updates}) == 2


def other(updates: list[tuple[str, Json]], name: str) -> str:
    """The pod that is not the one of that name; "" while there is none."""
    return next((raw["metadata"]["name"] for _, raw in updates if raw["metadata"]["name"] != name), "")


def test_a_daemon_set_runs_where_the_node_is_told_so(
    cluster: Cluster, access: Access, image: None, namespace: str, tmp_path: Path
) -> None:
    there = f"--namespace={namespace}"
    with NodeProcess(cluster, f"runs-{namespace}", tmp_path, access, "--daemonsets=run") as willing:
        apply(cluster, namespace, workload("DaemonSet", "everywhere", served(willing)))
        cluster.kubectl("rollout", there, "status", "daemonset/everywhere", "--timeout=60s", seconds=70)
        ((name,),) = ([each["metadata"]["name"]] for each in pods(cluster, namespace))
        eventually(lambda: ("Started", "Started container app") in events_of(cluster, namespace, name))
        cluster.kubectl("delete", there, "daemonset/everywhere", "--cascade=foreground", "--timeout=30s")
        until_nothing_is_left(willing)
