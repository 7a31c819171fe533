"""``vkprovider node`` on a real control plane: the seed's Job, scheduled to it, completes with the sidecar rules."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.cluster.clients import Cluster
from integration.cluster.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

ROOT = Path(__file__).parents[2]
IMAGE = "busybox:vkprovider-cluster"
NODE = "vkprovider-test"
PROGRAM = Path(sys.executable).parent / "vkprovider"
SIDECAR = {"name": "sidecar", "image": IMAGE, "command": ["sh", "-c", "tail -F /etc/hosts"]}
MARK = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}


@pytest.fixture(scope="module")
def node(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node that has joined the cluster, until the tests are over."""
    subprocess.run([ROOT / "integration" / "setup" / "busybox-image.sh", IMAGE], check=True)
    folder = tmp_path_factory.mktemp("node")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, "node", "--nodename", NODE, "--kubeconfig", cluster.kubeconfig, "--state-dir", folder],
            stdout=log,
            stderr=log,
        )
        try:
            eventually(lambda: " Ready " in cluster.kubectl("get", "nodes"), 30)
            yield NODE
        finally:
            process.terminate()
            assert process.wait(30) == 0


def job(form: str) -> dict[str, Any]:
    """The seed's Job in one of its forms, with a short grace, for the node."""
    app = {"name": "app", "image": IMAGE, "command": ["sh", "-c", "sleep 1"]}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": False,
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "tolerations": [{"key": "virtual-kubelet.io/provider", "operator": "Exists"}],
        "containers": [app, SIDECAR | MARK] if form == "marked" else [app],
    }
    if form == "native":
        spec["initContainers"] = [SIDECAR | {"restartPolicy": "Always"}]
    metadata = {"name": f"seed-{form}"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": spec}}}


def events_of(cluster: Cluster, namespace: str, pod: str) -> list[tuple[str, str]]:
    """Reasons and messages in the order in which they happened."""
    listed = json.loads(cluster.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    mine = [e for e in listed if e["involvedObject"]["name"] == pod and e["source"].get("component") == "kubelet"]
    mine.sort(key=lambda e: (e["firstTimestamp"], e["metadata"]["name"]))
    return [(e["reason"], e["message"]) for e in mine]


@pytest.mark.parametrize("form", ["native", "marked"])
def test_the_seeds_job_completes(cluster: Cluster, namespace: str, node: str, form: str) -> None:
    name, there = f"job/seed-{form}", f"--namespace={namespace}"
    cluster.kubectl("apply", there, "-f", "-", stdin=json.dumps(job(form)))
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
