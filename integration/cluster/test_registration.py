"""The Node that the cluster sees: what flags and variables make of it, and that it is there as long as the process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest

from .clients import Cluster
from .home import Home
from .identities import Access
from .nodes import NodeProcess, shell
from .showing import Json, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

POLITE = "trap 'exit 0' TERM; sleep 1000 & wait"
LEASES = "--namespace=kube-node-lease"


@pytest.fixture
def fresh(cluster: Cluster, access: Access, image: None, tmp_path: Path) -> Iterator[NodeProcess]:
    """A node of its own, before its first start."""
    node = NodeProcess(cluster, f"node-{uuid4().hex[:8]}", tmp_path, access)
    yield node
    node.stop()
    cluster.kubectl("delete", "node", node.name, "--ignore-not-found")


def shown(cluster: Cluster, node: NodeProcess) -> Json:
    found: Json = cluster.get("node", node.name)
    return found


def lease(cluster: Cluster, node: NodeProcess) -> Json:
    found: Json = cluster.get("lease", node.name, LEASES)
    return found


def condition(raw: Json, kind: str = "Ready") -> tuple[str, str, str]:
    of = next(each for each in raw["status"]["conditions"] if each["type"] == kind)
    return of["status"], of["reason"], of["message"]


def own_taints(raw: Json) -> list[Json]:
    """Those that are not the node controller's."""
    return [taint for taint in raw["spec"].get("taints", ()) if "node.kubernetes.io" not in taint["key"]]


def test_the_node_is_a_virtual_kubelets(cluster: Cluster, fresh: NodeProcess) -> None:
    fresh.start()
    raw = shown(cluster, fresh)
    expected = {
        "type": "virtual-kubelet",
        "kubernetes.io/hostname": fresh.name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/exclude-from-external-load-balancers": "true",
    }
    if os.environ.get("VKPROVIDER_TEST_IDENTITY") != "node":  # NodeRestriction refuses a node this one
        expected["kubernetes.io/role"] = "agent"
    assert expected.items() <= raw["metadata"]["labels"].items()
    assert own_taints(raw) == [{"key": "virtual-kubelet.io/provider", "value": "docker", "effect": "NoSchedule"}]
    status = raw["status"]
    assert condition(raw) == ("True", "KubeletReady", "kubelet is posting ready status")
    assert [each["type"] for each in status["addresses"]] == ["InternalIP", "Hostname"]
    assert status["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    assert status["nodeInfo"]["kubeletVersion"].startswith("v1.")
    assert int(status["capacity"]["pods"]) == 110
    assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] > 0


def test_flags_and_variables(
    cluster: Cluster, access: Access, image: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VKUBELET_TAINT_KEY", "example.com/gpu")
    monkeypatch.setenv("VKUBELET_TAINT_VALUE", "yes")
    monkeypatch.setenv("VKUBELET_TAINT_EFFECT", "NoExecute")
    monkeypatch.setenv("VKUBELET_POD_IP", "192.0.2.7")
    flags = ["--labels", "team=a,zone=b", "--labels", "tier=c", "--max-pods", "7", "--system-reserved", "cpu=100m"]
    with NodeProcess(cluster, f"node-{uuid4().hex[:8]}", tmp_path, access, *flags) as node:
        raw = shown(cluster, node)
        assert {"team": "a", "zone": "b", "tier": "c"}.items() <= raw["metadata"]["labels"].items()
        assert own_taints(raw) == [{"key": "example.com/gpu", "value": "yes", "effect": "NoExecute"}]
        assert raw["status"]["addresses"][0] == {"type": "InternalIP", "address": "192.0.2.7"}
        assert raw["status"]["capacity"]["pods"] == raw["status"]["allocatable"]["pods"] == "7"
        assert raw["status"]["allocatable"]["cpu"] == f"{int(raw['status']['capacity']['cpu']) * 1000 - 100}m"


def test_a_node_without_a_taint(cluster: Cluster, access: Access, image: None, tmp_path: Path) -> None:
    with NodeProcess(cluster, f"node-{uuid4().hex[:8]}", tmp_path, access, "--disable-taint") as node:
        assert own_taints(shown(cluster, node)) == []


def test_a_node_that_is_deleted_by_hand_is_registered_again(
    cluster: Cluster, namespace: str, fresh: NodeProcess
) -> None:
    """Its pods do not notice; its Lease becomes that of the new Node."""
    fresh.start()
    home = Home(cluster, namespace, fresh)
    home.create("pod", shell("app", POLITE), restartPolicy="Always")
    home.until_phase("Running", "pod")
    instances, status = home.instances(), home.status("pod")
    first = shown(cluster, fresh)["metadata"]["uid"]
    cluster.kubectl("delete", "node", fresh.name)
    eventually(fresh.is_ready)
    raw = shown(cluster, fresh)
    assert raw["metadata"]["uid"] != first
    assert own_taints(raw) == [{"key": "virtual-kubelet.io/provider", "value": "docker", "effect": "NoSchedule"}]
    home.until_works()
    assert (home.instances(), home.status("pod")) == (instances, status)
    owner = {"apiVersion": "v1", "kind": "Node", "name": fresh.name, "uid": raw["metadata"]["uid"]}
    mine = ("leases", LEASES, f"--field-selector=metadata.name={fresh.name}")  # for a moment there may be none
    eventually(lambda: [owner] in [each["metadata"].get("ownerReferences") for each in cluster.get(*mine)["items"]])
    home.delete("pod")
    eventually(lambda: not in_docker(fresh))


def test_a_node_that_stops_is_not_ready_and_is_again_when_it_starts(cluster: Cluster, fresh: NodeProcess) -> None:
    fresh.start()
    cluster.kubectl("label", "node", fresh.name, "by=hand")
    cluster.kubectl("cordon", fresh.name)
    uid = shown(cluster, fresh)["metadata"]["uid"]
    fresh.stop()
    assert condition(shown(cluster, fresh)) == ("False", "KubeletNotReady", "node is shutting down")
    fresh.start()
    raw = shown(cluster, fresh)
    assert (raw["metadata"]["uid"], raw["metadata"]["labels"]["by"], raw["spec"]["unschedulable"]) == (
        uid,
        "hand",
        True,
    )


def test_while_nothing_happens_the_lease_alone_is_written(cluster: Cluster, fresh: NodeProcess) -> None:
    """Of the Node each version says something that the one before did not, but for the first one of a new process."""
    fresh.start()
    with versions(cluster, fresh) as seen:
        for _ in range(3):
            renewed = lease(cluster, fresh)["spec"]["renewTime"]
            eventually(lambda renewed=renewed: lease(cluster, fresh)["spec"]["renewTime"] != renewed)
        assert lease(cluster, fresh)["spec"]["holderIdentity"] == fresh.name
        assert (
            lease(cluster, fresh)["metadata"]["ownerReferences"][0]["uid"] == shown(cluster, fresh)["metadata"]["uid"]
        )
        told = [news(raw) for raw in seen]
    assert told
    assert all(one != other for one, other in pairwise(told))


@contextmanager
def versions(cluster: Cluster, node: NodeProcess) -> Iterator[list[Json]]:
    """All versions of the Node while the block runs."""
    seen: list[Json] = []
    with cluster.follow("get", "node", node.name, "--watch", "--output=json") as process:
        assert process.stdout is not None
        decoder = json.JSONDecoder()

        def read() -> None:
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if line == "}\n":
                    seen.append(decoder.decode(text))
                    text = ""

        reader = threading.Thread(target=read)
        reader.start()
        try:
            eventually(lambda: seen)
            yield seen
        finally:
            process.terminate()
            reader.join()


def news(raw: Json) -> Json:
    """What a version of a Node says, without when it was said and by whom."""
    metadata = {k: v for k, v in raw["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    conditions = [{k: v for k, v in each.items() if k != "lastHeartbeatTime"} for each in raw["status"]["conditions"]]
    return raw | {"metadata": metadata, "status": raw["status"] | {"conditions": conditions}}
