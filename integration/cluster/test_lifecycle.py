"""The life of a pod as `kubectl` shows it: the Kubernetes sidecar post's examples with the post's outputs, probes,
hooks, another image, and what users do to containers by hand.

The post waits for probes with their default periods; here they are short, and so is the grace.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from .clients import Cluster
from .nodes import IMAGE, NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.timeout(300)]

PATIENCE = 60.0
FOREVER = {"command": ["sleep", "infinity"]}
UNTIL_TERM = "trap 'exit 0' TERM; sleep infinity & wait"
AGAIN = "busybox:vkprovider-cluster-again"
SOON = {"periodSeconds": 1}


class Pods:
    """The pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str, node: str) -> None:
        self._cluster = cluster
        self._there = f"--namespace={namespace}"
        self._node = node

    def run(self, name: str, *containers: dict[str, Any], finalizer: bool = False, **spec: Any) -> None:
        finalizers = ["example.com/look"] if finalizer else []
        inits = [{"image": IMAGE} | init for init in spec.pop("initContainers", ())]
        made = on(self._node, *containers, initContainers=inits, automountServiceAccountToken=False, **spec)
        metadata = {"name": name, "finalizers": finalizers}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(manifest(metadata, made)))

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._cluster.kubectl(*arguments, self._there, stdin=stdin)

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", "pod", name, "--output=json"))
        return found

    def line(self, name: str) -> list[str]:
        """READY, STATUS and RESTARTS of `kubectl get pod`."""
        return self.kubectl("get", "pod", name, "--no-headers").split()[1:4]

    def status(self, pod: str, container: str) -> dict[str, Any]:
        status = self.get(pod)["status"]
        statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        return next((s for s in statuses if s["name"] == container), {"state": {}, "restartCount": 0})

    def condition(self, pod: str, kind: str) -> dict[str, Any]:
        return next(c for c in self.get(pod)["status"]["conditions"] if c["type"] == kind)

    def events(self, pod: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of what the node said of a pod."""
        listed = json.loads(self.kubectl("get", "events", "--output=json"))["items"]
        mine = [e for e in listed if e["involvedObject"]["name"] == pod and e["source"].get("component") == "kubelet"]
        mine.sort(key=lambda e: (e["firstTimestamp"], e["metadata"]["name"]))
        return [(e["type"], e["reason"], e["message"]) for e in mine]

    def until(self, holds: Callable[[], object], seconds: float = PATIENCE) -> None:
        eventually(holds, seconds)

    def until_line(self, name: str, *columns: str) -> None:
        eventually(lambda: self.line(name) == [*columns], PATIENCE)

    def until_event(self, pod: str, *event: str) -> None:
        eventually(lambda: event in self.events(pod), PATIENCE)

    def ended(self, pod: str, container: str) -> float:
        return datetime.fromisoformat(self.status(pod, container)["state"]["terminated"]["finishedAt"]).timestamp()


def manifest(metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
def pods(cluster: Cluster, namespace: str, node: NodeProcess) -> Pods:
    return Pods(cluster, namespace, node.name)


@pytest.fixture(scope="module")
def again(image: None) -> Iterator[str]:
    """The image under another name."""
    subprocess.run(["docker", "tag", IMAGE, AGAIN], check=True)
    yield AGAIN
    subprocess.run(["docker", "rmi", AGAIN], check=True, capture_output=True)


def probe(code: int) -> dict[str, Any]:
    return {"exec": {"command": ["sh", "-c", f"exit {code}"]}} | SOON


def sidecar(name: str = "sidecar", **fields: Any) -> dict[str, Any]:
    return {"name": name, "restartPolicy": "Always"} | FOREVER | fields


def trapped(name: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", f"trap 'sleep 3; echo {name}; exit 0' TERM; sleep infinity & wait"]}


# --- the examples of the post ------------------------------------------------------------------------------------


def test_a_sidecar_that_fails_its_liveness_probe_is_restarted_alone(pods: Pods) -> None:
    name = "sidecar-container-liveness-fail-example"
    probes = {"livenessProbe": probe(1), "readinessProbe": probe(0)}
    pods.run(name, {"name": "app"} | FOREVER, initContainers=[sidecar(**probes)], restartPolicy="Always")
    pods.until(lambda: pods.line(name)[:2] == ["2/2", "Running"] and pods.status(name, "sidecar")["restartCount"] >= 1)
    seen = pods.events(name)
    assert ("Warning", "Unhealthy", "Liveness probe failed: ") in seen
    assert ("Normal", "Killing", "Init container sidecar failed liveness probe") in seen
    assert pods.status(name, "app")["restartCount"] == 0


def test_a_sidecar_that_fails_its_readiness_probe_makes_the_pod_unready(pods: Pods) -> None:
    name = "sidecar-container-readiness-fail-example"
    probes = {"livenessProbe": probe(0), "readinessProbe": probe(1)}
    pods.run(name, {"name": "app"} | FOREVER, initContainers=[sidecar(**probes)], restartPolicy="Always")
    pods.until_line(name, "1/2", "Running", "0")
    pods.until_event(name, "Warning", "Unhealthy", "Readiness probe failed: ")
    ready = pods.condition(name, "Ready")
    words = "containers with unready status: [sidecar]"
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "ContainersNotReady", words)
    assert pods.condition(name, "Initialized")["status"] == "True"


def test_when_the_app_has_ended_the_sidecars_end_in_turn(pods: Pods) -> None:
    name, inits = "sidecar-container-exit-example", ("first-sidecar", "second-sidecar")
    sidecars = [sidecar(init) | trapped(init) for init in inits]
    app = {"name": "app", "command": ["sh", "-c", "sleep 3; echo app; exit 0"]}
    pods.run(name, app, initContainers=sidecars, terminationGracePeriodSeconds=30)
    pods.until_line(name, "0/3", "Completed", "0")
    app_ended, second, first = (pods.ended(name, container) for container in ("app", *reversed(inits)))
    assert min(second - app_ended, first - second) >= 2  # 3, in times without fractions
    killed = {message for _, reason, message in pods.events(name) if reason == "Killing"}
    assert killed == {f"Stopping container {container}" for container in inits}
    for container in ("app", *inits):
        assert pods.status(name, container)["state"]["terminated"]["exitCode"] == 0


def test_when_the_pod_is_deleted_the_app_ends_first_and_the_sidecars_in_turn(pods: Pods) -> None:
    name, inits = "sidecar-container-order-example", ("first-sidecar", "second-sidecar")
    sidecars = [sidecar(init) | trapped(init) for init in inits]
    app = {"name": "app"} | trapped("app")
    pods.run(
        name, app, finalizer=True, initContainers=sidecars, terminationGracePeriodSeconds=30, restartPolicy="Always"
    )
    pods.until_line(name, "3/3", "Running", "0")
    started = [message for _, reason, message in pods.events(name) if reason == "Started"]
    assert started == [f"Started container {container}" for container in (*inits, "app")]
    pods.until(lambda: asleep(pods.get(name)))
    pods.kubectl("delete", "pod", name, "--wait=false")
    pods.until(lambda: pods.get(name)["status"]["phase"] == "Succeeded")
    app_ended, second, first = (pods.ended(name, container) for container in ("app", *reversed(inits)))
    assert min(second - app_ended, first - second) >= 2  # 3, in times without fractions
    killed = {message for _, reason, message in pods.events(name) if reason == "Killing"}
    assert killed == {f"Stopping container {container}" for container in ("app", *inits)}
    pods.kubectl("patch", "pod", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}')


def asleep(pod: dict[str, Any]) -> bool:
    """Whether all containers have come to `sleep`, and so have set their traps."""
    statuses = pod["status"]["initContainerStatuses"] + pod["status"]["containerStatuses"]
    ids = [status["containerID"].removeprefix("docker://") for status in statuses]
    tops = [subprocess.run(["docker", "top", each], capture_output=True, text=True, check=True).stdout for each in ids]
    return all("sleep infinity" in top.replace("trap 'sleep", "") for top in tops)


# --- another image -----------------------------------------------------------------------------------------------


def test_another_image_replaces_one_container_and_the_pod_stays_ready(pods: Pods, again: str) -> None:
    """Under restartPolicy Never, for which the API server accepts no container that runs again once it has ended."""
    app = shell("app", UNTIL_TERM, lifecycle={"postStart": {"exec": {"command": ["sleep", "2"]}}})
    pods.run("changed", app, shell("other", UNTIL_TERM))
    pods.until_line("changed", "2/2", "Running", "0")
    ready = pods.condition("changed", "Ready")
    pods.kubectl("set", "image", "pod/changed", f"app={again}")
    pods.until(lambda: pods.status("changed", "app")["restartCount"] == 1)
    status = pods.status("changed", "app")
    assert status["image"] == again
    assert "running" in status["state"]
    assert "terminated" in status["lastState"]
    assert pods.status("changed", "other")["restartCount"] == 0
    assert pods.condition("changed", "Ready") | {"observedGeneration": 0} == ready | {"observedGeneration": 0}
    pods.until_event("changed", "Normal", "Killing", "Container app definition changed, will be restarted")


# --- probes, hooks, deadline -------------------------------------------------------------------------------------


def test_an_app_that_fails_its_probes_backs_off(pods: Pods) -> None:
    app = shell("app", UNTIL_TERM, livenessProbe=probe(1) | {"initialDelaySeconds": 1, "failureThreshold": 1})
    pods.run("unhealthy", app, restartPolicy="Always")
    pods.until(lambda: pods.status("unhealthy", "app")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")
    pods.until_event("unhealthy", "Normal", "Killing", "Container app failed liveness probe, will be restarted")
    pods.until(lambda: any(reason == "BackOff" for _, reason, _ in pods.events("unhealthy")))


def test_a_post_start_that_fails(pods: Pods) -> None:
    app = shell("app", UNTIL_TERM, lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 3"]}}})
    pods.run("hooked", app, restartPolicy="Always")
    pods.until_event("hooked", "Warning", "FailedPostStartHook", "PostStartHook failed")
    pods.until_event("hooked", "Normal", "Killing", "FailedPostStartHook")
    pods.until(lambda: pods.status("hooked", "app")["restartCount"] >= 1)


def test_while_its_first_post_start_runs_a_container_waits(pods: Pods) -> None:
    app = shell("app", UNTIL_TERM, lifecycle={"postStart": {"exec": {"command": ["sleep", "5"]}}})
    pods.run("hooked", app, restartPolicy="Always")
    pods.until_event("hooked", "Normal", "Started", "Started container app")
    assert pods.line("hooked") == ["0/1", "ContainerCreating", "0"]
    pods.until_line("hooked", "1/1", "Running", "0")


def test_a_deadline_fails_the_pod(pods: Pods) -> None:
    pods.run("late", shell("app", UNTIL_TERM), activeDeadlineSeconds=5)
    pods.until(lambda: pods.get("late")["status"]["phase"] == "Failed")
    message = "Pod was active on the node longer than the specified deadline"
    status = pods.get("late")["status"]
    assert (status["reason"], status["message"]) == ("DeadlineExceeded", message)
    pods.until_event("late", "Normal", "DeadlineExceeded", message)


# --- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "rm --force"])
def test_a_container_that_a_user_ends_runs_again(pods: Pods, how: str) -> None:
    pods.run("mine", shell("app", UNTIL_TERM), shell("other", UNTIL_TERM), restartPolicy="Always")
    pods.until_line("mine", "2/2", "Running", "0")
    container = pods.status("mine", "app")["containerID"].removeprefix("docker://")
    subprocess.run(["docker", *how.split(), container], check=True, capture_output=True)
    pods.until(lambda: pods.status("mine", "app")["restartCount"] == 1)
    pods.until(lambda: "running" in pods.status("mine", "app")["state"])
    last = pods.status("mine", "app")["lastState"]["terminated"]
    expected = "Error" if how == "kill" else "ContainerStatusUnknown"
    assert last["exitCode"] == 137
    assert last["reason"] in (expected, "Error")  # where its end was seen before it went
    assert pods.status("mine", "other")["restartCount"] == 0
