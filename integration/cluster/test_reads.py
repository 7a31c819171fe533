"""What is read of a node through the API server and directly: numbers of containers that really work, pods, health."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from vkprovider.node.clock import SystemClock

from .clients import Cluster, KubectlError
from .identities import Access
from .nodes import IMAGE, NodeProcess, on, shell
from .showing import apply, pod
from .test_kubelet_access import bearer, url
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

MIB = 1 << 20
HOLDS = 48 * MIB
BURN = "while :; do :; done"
HOLD = (
    f"head -c {HOLDS} /dev/zero > /scratch/zeros; cp /scratch/zeros /memory/zeros; "
    "head -c 2000000 /dev/zero > /written; exec sleep 3600"
)
LIMITS = {"cpu": "200m", "memory": "128Mi"}
WORKING = {
    "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory"}}],
    "initContainers": [{"name": "init", "image": IMAGE, "command": ["true"]}],
}
MOUNTS = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "memory", "mountPath": "/memory"}]
READS = {  # path: the subresource that lets somebody read it
    "/pods": "pods",
    "/runningpods/": "pods",
    "/healthz": "healthz",
    "/healthz/syncloop": "healthz",
    "/configz": "configz",
    "/stats/summary?only_cpu_and_memory=true": "stats",
    "/metrics": "metrics",
    "/metrics/resource": "metrics",
    "/metrics/cadvisor": "metrics",
    "/metrics/probes": "metrics",
    "/metrics/slis": "metrics",
}


class Reader:
    """Reads a node as ``kubectl get --raw`` does, through the API server."""

    def __init__(self, cluster: Cluster, node: str, namespace: str) -> None:
        self.cluster = cluster
        self.node = node
        self.namespace = namespace

    def text(self, path: str) -> str:
        return self.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{self.node}/proxy{path}")

    def json(self, path: str) -> Any:
        return json.loads(self.text(path))

    def samples(self, path: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Those of the test's pod and those of the machine; each is told once."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for family in text_string_to_metric_families(self.text(path)):
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in found
                found[key] = sample.value
        return found

    def pod(self, summary: Any) -> Any:
        found = [each for each in summary["pods"] if each["podRef"]["namespace"] == self.namespace]
        return found[0] if found else None


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Access, image: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """At the engine's end of its bridge: API servers pass nothing on to loopback addresses."""
    gateway = ["docker", "network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}"]
    address = subprocess.run(gateway, check=True, capture_output=True, text=True).stdout.strip()
    name = f"node-{uuid4().hex[:8]}"
    with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access, "--internal-ip", address) as joined:
        yield joined


@pytest.fixture(scope="module")
def reader(cluster: Cluster, node: NodeProcess) -> Iterator[Reader]:
    """Of a node whose one pod burns the processor in one container, and holds memory and disk in another."""
    namespace = f"test-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    eventually(lambda: cluster.get("serviceaccounts", f"--namespace={namespace}")["items"], 90)
    burner = shell("burner", BURN, resources={"limits": LIMITS})
    holder = shell("holder", HOLD, volumeMounts=MOUNTS)
    apply(cluster, namespace, pod("working", on(node.name, burner, holder, **WORKING)))
    reader = Reader(cluster, node.name, namespace)

    def at_work() -> bool:
        """Everything has been written, and the pod is over its first seconds."""
        done = ["exec", "working", "--container=holder", f"--namespace={namespace}", "--", "test", "-s", "/written"]
        try:
            cluster.kubectl(*done)
        except KubectlError:
            return False
        return True

    eventually(at_work, 60)
    yield reader
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_the_summary_of_the_node(reader: Reader) -> None:
    """The bounds of e2e_node/summary_test.go, as far as they say that a number is real."""
    node = reader.json("/stats/summary")["node"]
    assert node["nodeName"] == reader.node
    assert node["cpu"]["usageNanoCores"] > 10_000_000
    assert node["cpu"]["usageCoreNanoSeconds"] > 10**9
    memory = node["memory"]
    for field in ("availableBytes", "usageBytes", "workingSetBytes", "rssBytes"):
        assert memory[field] > 10 * MIB, field
    assert memory["pageFaults"] > 1000
    assert memory["majorPageFaults"] >= 0
    assert memory["workingSetBytes"] <= memory["usageBytes"]
    for system in (node["fs"], node["runtime"]["imageFs"], node["runtime"]["containerFs"]):
        assert system["capacityBytes"] > system["availableBytes"] > 100 * MIB
        assert system["inodes"] > system["inodesFree"] > 1000
        assert system["inodesUsed"] > 0
    assert node["fs"]["usedBytes"] > 10 * MIB
    assert node["runtime"]["imageFs"]["usedBytes"] > MIB
    assert node["network"]["interfaces"]
    assert node["network"]["rxBytes"] + node["network"]["txBytes"] > 1000
    assert 0 < node["rlimit"]["curproc"] < node["rlimit"]["maxpid"]
    assert {each["name"] for each in node["systemContainers"]} >= {"kubelet", "pods"}
    for part in node["systemContainers"]:
        assert part["cpu"]["usageCoreNanoSeconds"] > 0, part["name"]
        assert part["memory"]["workingSetBytes"] > 0, part["name"]
    assert age(node["cpu"]["time"]) < timedelta(seconds=30)


def test_the_summary_of_a_pod(reader: Reader, cluster: Cluster) -> None:
    found = reader.pod(reader.json("/stats/summary"))
    status = cluster.get("pod", "working", f"--namespace={reader.namespace}")
    assert found["podRef"] == {"name": "working", "namespace": reader.namespace, "uid": status["metadata"]["uid"]}
    assert age(found["startTime"]) < timedelta(minutes=5)
    containers = {each["name"]: each for each in found["containers"]}
    assert set(containers) == {"burner", "holder"}  # what has ended has no numbers
    burner, holder = containers["burner"], containers["holder"]
    assert 50_000_000 < burner["cpu"]["usageNanoCores"] < 300_000_000  # of its limit, 200m
    assert burner["memory"]["availableBytes"] > 100 * MIB
    assert holder["memory"]["workingSetBytes"] > HOLDS
    assert "availableBytes" not in holder["memory"]
    assert holder["rootfs"]["usedBytes"] > 1_900_000
    assert holder["rootfs"]["inodesUsed"] > 1
    for each in containers.values():
        assert each["cpu"]["usageCoreNanoSeconds"] > 0
        assert each["memory"]["usageBytes"] >= each["memory"]["workingSetBytes"] > 0
        assert each["memory"]["rssBytes"] > 0
        assert each["memory"]["pageFaults"] > 0
        assert each["rootfs"]["capacityBytes"] > each["rootfs"]["availableBytes"] > 0
        assert each["logs"]["capacityBytes"] > 0
        assert age(each["startTime"]) < timedelta(minutes=5)
    assert found["cpu"]["usageNanoCores"] >= burner["cpu"]["usageNanoCores"]
    assert found["memory"]["workingSetBytes"] > HOLDS
    assert found["network"]["name"] == "eth0"
    assert found["network"]["rxBytes"] >= 0
    volumes = {each["name"]: each for each in found["volume"]}
    assert volumes["scratch"]["usedBytes"] >= HOLDS
    assert volumes["memory"]["usedBytes"] >= HOLDS
    assert HOLDS + 1_900_000 <= found["ephemeral-storage"]["usedBytes"] < 2 * HOLDS
    assert found["process_stats"]["process_count"] >= 3  # with the sandbox's


def test_processors_and_memory_alone(reader: Reader) -> None:
    found = reader.json("/stats/summary?only_cpu_and_memory=true")
    assert not found["node"].keys() & {"fs", "network", "runtime", "rlimit"}
    (burner,) = [each for each in reader.pod(found)["containers"] if each["name"] == "burner"]
    assert burner["cpu"]["usageNanoCores"] > 50_000_000
    assert not burner.keys() & {"rootfs", "logs"}


def test_resources_as_metrics_server_reads_them(reader: Reader) -> None:
    found = reader.samples("/metrics/resource")
    mine = {"namespace": reader.namespace, "pod": "working"}
    for container in ("burner", "holder"):
        labels = tuple(sorted((mine | {"container": container}).items()))
        assert found["container_cpu_usage_seconds_total", labels] > 0
        assert found["container_memory_working_set_bytes", labels] > 0
        started = SystemClock().now().timestamp() - found["container_start_time_seconds", labels]
        assert 0 < started < 300
    assert found["pod_memory_working_set_bytes", tuple(sorted(mine.items()))] > HOLDS
    assert found["node_cpu_usage_seconds_total", ()] > 1
    assert found["node_memory_working_set_bytes", ()] > 10 * MIB
    assert found["resource_scrape_error", ()] == 0
    told = {dict(labels).get("container") for name, labels in found if name.startswith("container_")}
    assert told == {"burner", "holder"}


def test_containers_as_dashboards_read_them(reader: Reader) -> None:
    found = [
        (name, dict(labels), value)
        for (name, labels), value in reader.samples("/metrics/cadvisor").items()
        if dict(labels).get("namespace") == reader.namespace
    ]

    def told(name: str, container: str) -> float:
        (value,) = [v for n, labels, v in found if n == name and labels["container"] == container]
        return value

    assert told("container_cpu_usage_seconds_total", "burner") > 0.1
    assert told("container_cpu_cfs_throttled_periods_total", "burner") > 0  # it wants more than its limit
    assert told("container_cpu_cfs_periods_total", "burner") >= told(
        "container_cpu_cfs_throttled_periods_total", "burner"
    )
    assert told("container_spec_cpu_quota", "burner") == 20000
    assert told("container_spec_memory_limit_bytes", "burner") == 128 * MIB
    assert told("container_memory_working_set_bytes", "holder") > HOLDS
    assert told("container_fs_usage_bytes", "holder") > 1_900_000
    assert told("container_network_receive_bytes_total", "") >= 0
    assert told("container_file_descriptors", "burner") >= 3
    assert told("container_sockets", "burner") == 0
    assert told("container_ulimits_soft", "burner") >= 1024
    images = {labels["image"] for name, labels, _ in found if labels["container"]}
    assert images == {IMAGE}


def test_pods_and_configuration(reader: Reader) -> None:
    known = [each for each in reader.json("/pods")["items"] if each["metadata"]["namespace"] == reader.namespace]
    (status,) = [each["status"] for each in known]
    assert status["phase"] == "Running"
    assert {each["name"] for each in status["containerStatuses"]} == {"burner", "holder"}
    running = reader.json("/runningpods/")["items"]
    (mine,) = [each for each in running if each["metadata"]["namespace"] == reader.namespace]
    assert {each["name"] for each in mine["spec"]["containers"]} == {"burner", "holder"}
    configuration = reader.json("/configz")["kubeletconfig"]
    assert configuration["maxPods"] == 110
    registered = reader.cluster.get("node", reader.node)["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    assert configuration["port"] == registered
    assert configuration["authentication"]["anonymous"] == {"enabled": False}


def test_health(reader: Reader) -> None:
    for path in ("/healthz", "/healthz/ping", "/healthz/log", "/healthz/syncloop"):
        assert reader.text(path) == "ok"
    assert "[+]syncloop ok" in reader.text("/healthz?verbose")
    labels = (("name", "syncloop"), ("type", "healthz"))
    assert reader.samples("/metrics/slis")["kubernetes_healthcheck", labels] == 1


def test_each_read_has_a_permission_of_its_own(reader: Reader, cluster: Cluster, node: NodeProcess) -> None:
    """Directly at the node: a reader of one subresource may read that and no other; ``nodes/proxy`` opens those alone
    that a kubelet opens to it.
    """
    there = url(cluster, node)
    for subresource in ("pods", "healthz", "configz", "stats", "metrics", "proxy"):
        with account(cluster, reader.namespace, subresource) as token:
            for path, needed in READS.items():
                code, text = bearer(token).ask(there, path)
                fine = needed in ("pods", "healthz", "configz")
                allowed = subresource == needed or (subresource == "proxy" and fine)
                assert code == (200 if allowed else 403), (subresource, path, text)
                if not allowed:
                    places = f"{needed} proxy" if fine else needed
                    assert text.endswith(f"verb=get, resource=nodes, subresource(s)=[{places}])\n")
    assert bearer("").ask(there, "/stats/summary") == (401, "Unauthorized")


@contextmanager
def account(cluster: Cluster, namespace: str, subresource: str) -> Iterator[str]:
    """The token of one that may get a subresource of nodes."""
    name = f"{namespace}-{subresource}"
    cluster.kubectl("create", "serviceaccount", subresource, f"--namespace={namespace}")
    cluster.kubectl("create", "clusterrole", name, "--verb=get", f"--resource=nodes/{subresource}")
    subject = f"--serviceaccount={namespace}:{subresource}"
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
    yield cluster.kubectl("create", "token", subresource, f"--namespace={namespace}").strip()
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)


def age(moment: str) -> timedelta:
    return SystemClock().now() - datetime.fromisoformat(moment)
