"""``vkprovider node`` on a real control plane: the seed's Job, scheduled to it, completes with the sidecar rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .clients import Cluster
from .nodes import IMAGE, NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

SIDECAR = {"name": "sidecar", "image": IMAGE, "command": ["sh", "-c", "tail -F /etc/hosts"]}
MARK = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}


def job(form: str, node: str) -> dict[str, Any]:
    """The seed's Job in one of its forms, with a short grace, for the node."""
    app = shell("app", "sleep 1")
    sidecars = [SIDECAR | {"restartPolicy": "Always"}] if form == "native" else []
    apps = [app] if form == "native" else [app, SIDECAR | MARK]
    spec = on(node, *apps, initContainers=sidecars, automountServiceAccountToken=False)
    metadata = {"name": f"seed-{form}"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": spec}}}


def events_of(cluster: Cluster, namespace: str, pod: str) -> list[tuple[str, str]]:
    """Reasons and messages in the order in which they happened."""
    listed = json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    mine = [e for e in listed if e["involvedObject"]["name"] == pod and e["source"].get("component") == "kubelet"]
    mine.sort(key=lambda e: (e["firstTimestamp"], e["metadata"]["name"]))
    return [(e["reason"], e["message"]) for e in mine]


@pytest.mark.parametrize("form", ["native", "marked"])
def test_the_seeds_job_completes(cluster: Cluster, namespace: str, node: NodeProcess, form: str) -> None:
    name, there = f"job/seed-{form}", f"--namespace={namespace}"
    cluster.kubectl("apply", there, "-f", "-", stdin=json.dumps(job(form, node.name)))
    cluster.kubectl("wait", there, name, "--for=condition=Complete", "--timeout=60s", seconds=70)
    (pod,) = json.loads(cluster.kubectl("get", "pods", there, "-o", "json"))["items"]
    statuses = pod["status"]["containerStatuses"] + pod["status"].get("initContainerStatuses", [])
    sidecar = next(s for s in statuses if s["name"] == "sidecar")
    terminated = sidecar["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert terminated["message"] == "Force this container to be success(137, Error, )"
    assert (sidecar["ready"], sidecar["restartCount"]) == (False, 0)
    present = f'Container image "{IMAGE}" already present on machine'
    started = [
        (reason, message.format(name))
        for name in ("sidecar", "app")
        for reason, message in (
            ("Pulled", present),
            ("Created", "Created container: {}"),
            ("Started", "Started container {}"),
        )
    ]
    stopped = ("Killing", "Stopping container sidecar")
    assert events_of(cluster, namespace, pod["metadata"]["name"]) == [*started, stopped]
    cluster.kubectl("delete", there, name)
    eventually(lambda: not json.loads(cluster.kubectl("get", "pods", there, "-o", "json"))["items"], 30)
