"""The numbers of a node: on loopback for this machine, and on the node's API for those who may ask."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from uuid import uuid4

import pytest

from .clients import Cluster
from .identities import Access
from .nodes import NodeProcess, on, shell
from .probes import free_ports
from .showing import apply, pod
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]
PROBE = {"exec": {"command": ["true"]}, "periodSeconds": 1}
READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "node-metrics-reader"},
    "rules": [{"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}],
}


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Access, image: None, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    name = f"node-{uuid4().hex[:8]}"
    flags = ["--read-only-port", str(port)]
    with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access, *flags) as joined:
        yield joined


def ask(url: str, token: str = "") -> str:
    """As ``curl --insecure`` does; the code where it is refused."""
    context = None
    if url.startswith("https"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return str(refused.code)


def test_metrics(cluster: Cluster, namespace: str, node: NodeProcess, port: int) -> None:
    spec = on(node.name, shell("app", "exec sleep 3600", livenessProbe=PROBE))
    apply(cluster, namespace, pod("probed", spec))
    url = f"http://127.0.0.1:{port}"
    eventually(lambda: 'vkprovider_pods{phase="Running"} 1.0' in ask(f"{url}/metrics"), 30)
    assert f'kubelet_node_name{{node="{node.name}"}} 1.0' in ask(f"{url}/metrics")
    assert 'kubelet_running_containers{container_state="running"} 1.0' in ask(f"{url}/metrics")
    eventually(lambda: 'result="successful"' in ask(f"{url}/metrics/probes"))
    cluster.kubectl("exec", "probed", f"--namespace={namespace}", "--", "true")
    eventually(lambda: 'vkprovider_streams{kind="exec"} 0.0' in ask(f"{url}/metrics"))
    assert 'vkprovider_streams_total{kind="exec"} 1.0' in ask(f"{url}/metrics")
    assert ask(f"{url}/healthz") == "ok"
    for path in ("/pods", f"/containerLogs/{namespace}/probed/app", f"/exec/{namespace}/probed/app?command=true"):
        assert ask(url + path) == "404"


def test_metrics_of_the_nodes_api(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(READER))
    cluster.kubectl("create", "serviceaccount", "reader", f"--namespace={namespace}")
    account = f"--serviceaccount={namespace}:reader"
    cluster.kubectl("create", "clusterrolebinding", namespace, "--clusterrole=node-metrics-reader", account)
    token = cluster.kubectl("create", "token", "reader", f"--namespace={namespace}").strip()
    status = cluster.get("node", node.name)["status"]
    (address,) = (each["address"] for each in status["addresses"] if each["type"] == "InternalIP")
    url = f"https://{address}:{status['daemonEndpoints']['kubeletEndpoint']['Port']}/metrics"
    eventually(lambda: "kubelet_node_name" in ask(url, token))
    assert ask(url) == "401"
    stranger = cluster.kubectl("create", "token", "default", f"--namespace={namespace}").strip()
    assert ask(url, stranger) == "403"
    cluster.kubectl("delete", "clusterrolebinding", namespace)
