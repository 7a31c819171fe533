"""deploy/monitoring as it is, in a real Prometheus that scrapes a real node with a token."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from tests.plugins.real_parts import missing

from .clients import Cluster
from .identities import DEPLOY
from .nodes import NodeProcess, on, shell
from .prometheus import PROGRAM, Prometheus, prometheus
from .showing import apply, pod
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]
MONITORING = DEPLOY / "monitoring"
PATHS = {"/metrics", "/metrics/probes", "/metrics/cadvisor"}
IGNORES_TERM = "trap '' TERM; while :; do sleep 0.1; done"
VARIABLES = {"$__rate_interval": "1m", "$__range": "10m", "$instance": ".+"}

# What kubernetes-mixin's dashboard of kubelets and its alerts ask for, of a node that runs a pod.
MIXIN = """
    kubelet_node_name
    kubelet_running_pods
    kubelet_running_containers{container_state="running"}
    volume_manager_total_volumes{state="actual_state_of_world"}
    volume_manager_total_volumes{state="desired_state_of_world"}
    kubelet_runtime_operations_total
    kubelet_runtime_operations_errors_total
    kubelet_runtime_operations_duration_seconds_bucket
    kubelet_pod_start_duration_seconds_count
    kubelet_pod_start_duration_seconds_bucket
    kubelet_pod_worker_duration_seconds_count
    kubelet_pod_worker_duration_seconds_bucket
    storage_operation_duration_seconds_count
    storage_operation_duration_seconds_bucket
    storage_operation_errors_total
    kubelet_pleg_relist_duration_seconds_count
    kubelet_pleg_relist_duration_seconds_bucket
    kubelet_pleg_relist_interval_seconds_bucket
    kubelet_certificate_manager_server_ttl_seconds
    kubelet_server_expiration_renew_errors
    rest_client_requests_total{code=~"2.."}
    rest_client_request_duration_seconds_bucket
    process_resident_memory_bytes
    process_cpu_seconds_total
"""
MIXIN_JOIN = """
    sum(rate(kubelet_pleg_relist_duration_seconds_bucket{job="kubelet"}[5m])) by (instance, le)
    * on (instance) group_left (node) max by (instance, node) (kubelet_node_name{job="kubelet"})
"""


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> Iterator[str]:
    """Of an account that has the rights in deploy/monitoring, and no others."""
    namespace = f"monitoring-{uuid4().hex[:8]}"
    role, binding = yaml.safe_load_all((MONITORING / "rbac.yaml").read_text())
    for each in (role, binding, binding["roleRef"]):
        each.get("metadata", each)["name"] = namespace
    (subject,) = binding["subjects"]
    subject["namespace"] = namespace
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("create", "serviceaccount", subject["name"], f"--namespace={namespace}")
    apply(cluster, namespace, role, binding)
    yield cluster.kubectl("create", "token", subject["name"], f"--namespace={namespace}").strip()
    cluster.kubectl("delete", "namespace,clusterrole,clusterrolebinding", namespace, "--wait=false")


def config(cluster: Cluster, node: str, folder: Path, token: str) -> dict[str, Any]:
    """prometheus.yml for a Prometheus outside of the cluster. Debian's is built without the discovery of nodes, so it
    is told what that would find.
    """
    text = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(cluster.ca)
    status = cluster.get("node", node)["status"]
    (address,) = (each["address"] for each in status["addresses"] if each["type"] == "InternalIP")
    target = f"{address}:{status['daemonEndpoints']['kubeletEndpoint']['Port']}"
    for job in text["scrape_configs"]:
        (discovery,) = job.pop("kubernetes_sd_configs")
        assert discovery["role"] == "node"
        job["static_configs"] = [{"targets": [target], "labels": {"__meta_kubernetes_node_name": node}}]
        job["authorization"] = {"credentials_file": str(folder / "token")}
        job["tls_config"] = job["tls_config"] | {"ca_file": str(folder / "ca.crt")}
    return text | {"rule_files": [str(MONITORING / "alerts.yaml")]}


@pytest.fixture(scope="module")
def watching(
    cluster: Cluster, node: NodeProcess, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    if shutil.which(PROGRAM) is None:
        missing(f"there is no {PROGRAM}: run integration/setup/apt.sh {PROGRAM}")
    folder = tmp_path_factory.mktemp(PROGRAM)
    with prometheus(folder, config(cluster, node.name, folder, token)) as server:
        eventually(lambda: server.query("vkprovider_build_info"), 30)
        yield server


def job(node: str) -> dict[str, Any]:
    """A Job with a sidecar that does not end when it is told to."""
    sidecar = shell("sidecar", IGNORES_TERM, restartPolicy="Always", image=on(node, {})["containers"][0]["image"])
    probed = shell("app", "sleep 3", readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1})
    spec = {"template": {"spec": on(node, probed, initContainers=[sidecar], terminationGracePeriodSeconds=1)}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}


@pytest.fixture(scope="module")
def after_a_job(cluster: Cluster, node: NodeProcess, watching: Prometheus) -> Iterator[Prometheus]:
    namespace = f"jobs-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    apply(cluster, namespace, job(node.name))
    cluster.kubectl("wait", "job/job", f"--namespace={namespace}", "--for=condition=Complete", "--timeout=60s")
    eventually(lambda: watching.query("vkprovider_forgiven_exits_total{kind='native'} > 0"))
    yield watching
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_every_page_is_scraped_as_the_job_of_the_kubelets(node: NodeProcess, watching: Prometheus) -> None:
    def up() -> set[str]:
        found = watching.get("query", query=f'up{{job="kubelet", node="{node.name}"}} == 1')["result"]
        return {each["metric"]["metrics_path"] for each in found}

    eventually(lambda: up() == PATHS)
    (joined,) = watching.query(f'kubelet_node_name{{job="kubelet", node="{node.name}"}}')
    assert joined == 1


def test_every_query_of_the_dashboard_has_data(after_a_job: Prometheus) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    empty = []
    for query in queries:
        expression = query
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        if not after_a_job.query(expression):
            empty.append(query)
    assert empty == []


def test_what_dashboards_and_alerts_for_kubelets_ask_for(
    cluster: Cluster, node: NodeProcess, namespace: str, after_a_job: Prometheus
) -> None:
    spec = on(node.name, shell("app", "exec sleep 3600"), volumes=[{"name": "scratch", "emptyDir": {}}])
    apply(cluster, namespace, pod("running", spec))
    eventually(lambda: after_a_job.query('kubelet_running_containers{container_state="running"} == 1'))
    eventually(lambda: [query for query in MIXIN.split() if not after_a_job.query(query)] == [])
    assert after_a_job.query(MIXIN_JOIN)


def test_what_the_job_left_in_the_numbers(after_a_job: Prometheus) -> None:
    kinds = {"native": 1, "app": 0}
    for name in ("forgiven_exits", "container_kills"):
        for kind, times in kinds.items():
            assert after_a_job.query(f'vkprovider_{name}_total{{kind="{kind}"}}') == [times]
    (stopped,) = after_a_job.query('vkprovider_container_stop_duration_seconds_sum{kind="native"}')
    assert 0.9 < stopped < 10
    (started,) = after_a_job.query("kubelet_pod_start_duration_seconds_count")
    assert started >= 1
    assert after_a_job.query('prober_probe_total{container="app", result="successful"} > 0')
    assert after_a_job.query("sum(vkprovider_reconciles_total)") == after_a_job.query(
        "sum(kubelet_pod_worker_duration_seconds_count)"
    )
    assert after_a_job.query('vkprovider_reconcile_causes_total{cause="engine"} > 0')
    assert after_a_job.query('vkprovider_engine_calls_total{call="start_container", outcome="ok"} >= 3')
    assert after_a_job.query("sum(rest_client_requests_total{code='200'})")[0] > 5


def test_the_alerts_are_loaded_and_none_fires(after_a_job: Prometheus) -> None:
    def rules() -> list[Any]:
        return [rule for group in after_a_job.get("rules")["groups"] for rule in group["rules"]]

    eventually(lambda: all(rule["health"] == "ok" for rule in rules()))
    assert [rule["name"] for rule in rules() if rule["state"] == "firing"] == []
