"""What a pod finds of the cluster: its API server and Services in variables, names, and what is not honoured."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import yaml

from .clients import Cluster
from .controlplane import ControlPlane
from .nodes import NodeProcess, on, shell
from .probes import free_ports
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
IDLE = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
DNS = ("--cluster-dns", "10.96.0.10", "--cluster-domain", "k8s.example")


@pytest.fixture(scope="module")
def bridge() -> str:
    """The engine's bridge, where containers and this machine reach one another."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def reachable(bridge: str) -> Iterator[ControlPlane]:
    """A control plane whose API server containers can reach."""
    with ControlPlane.start(address=bridge) as plane:
        eventually(lambda: plane.get("serviceaccounts", "--namespace=default")["items"])
        yield plane


@pytest.fixture(scope="module")
def there(reachable: ControlPlane, image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    name = f"node-{uuid4().hex[:8]}"
    flags = ("--port", str(free_ports(1)[0]), *DNS)
    with NodeProcess(reachable, name, tmp_path_factory.mktemp(name), reachable.kubeconfig, *flags) as joined:
        yield joined
        reachable.kubectl("delete", "pods", "--all", "--timeout=30s")


def create(cluster: Cluster, kind: str, name: str, namespace: str = "default", **body: Any) -> None:
    raw = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}} | body
    cluster.kubectl("create", "-f", "-", f"--namespace={namespace}", stdin=json.dumps(raw))


def pod(cluster: Cluster, node: NodeProcess, container: dict[str, Any], namespace: str = "default", **spec: Any) -> str:
    name = f"pod-{uuid4().hex[:8]}"
    create(cluster, "Pod", name, namespace, spec=on(node.name, container, **spec))
    return name


def words(cluster: Cluster, name: str) -> list[str]:
    """The last words of a pod's container, once it has succeeded."""
    cluster.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    (status,) = cluster.get("pod", name)["status"]["containerStatuses"]
    return str(status["state"]["terminated"]["message"]).splitlines()


def saying(script: str, **fields: Any) -> dict[str, Any]:
    return shell("app", f"{{ {script}; }} >/dev/termination-log", **fields)


def test_a_pod_asks_the_api_server_with_its_token(reachable: ControlPlane, there: NodeProcess) -> None:
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    server = "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"
    headers = f'--header "Authorization: Bearer $(cat {ACCOUNT}/token)" --header "Content-Type: application/json"'
    place = f"{server}/apis/authentication.k8s.io/v1/selfsubjectreviews"
    ask = f"wget -q -O - --no-check-certificate {headers} --post-data '{review}' {place}"
    name = pod(reachable, there, saying(ask))
    answer = json.loads("".join(words(reachable, name)))
    assert answer["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"


def test_services_are_told_as_they_are_at_each_start(reachable: ControlPlane, there: NodeProcess) -> None:
    ports = [{"name": "sql", "port": 5432}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    create(reachable, "Service", "my-db", spec={"ports": ports, "selector": {"app": "db"}})
    create(reachable, "Service", "headless", spec={"ports": ports, "clusterIP": "None"})
    try:
        address = reachable.get("service", "my-db")["spec"]["clusterIP"]
        url = {"name": "URL", "value": "$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT_SQL)"}
        told = saying("echo $URL; env | grep -c ^HEADLESS; echo $MY_DB_PORT_53_UDP $LATER_SERVICE_PORT; exit $CODE")
        variables = [url, {"name": "CODE", "value": "0"}]
        name = pod(reachable, there, told | {"env": variables})
        assert words(reachable, name) == [f"{address}:5432", "0", f"udp://{address}:53"]
        until_later = 'test -n "$LATER_SERVICE_PORT" || exit 1; echo $LATER_SERVICE_PORT'
        again = pod(reachable, there, saying(until_later), restartPolicy="OnFailure")
        eventually(lambda: statuses(reachable, again)[0]["restartCount"])
        create(reachable, "Service", "later", spec={"ports": [{"port": 8080}]})
        assert words(reachable, again) == ["8080"]
    finally:
        reachable.kubectl("delete", "services", "my-db", "headless", "later", "--ignore-not-found")


def statuses(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("pod", name)["status"].get("containerStatuses") or [{"restartCount": 0}]
    return found


def test_without_service_links_the_api_server_alone_is_told(
    reachable: ControlPlane, there: NodeProcess, bridge: str
) -> None:
    create(reachable, "Service", "db", spec={"ports": [{"port": 5432}]})
    try:
        script = "echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT_HTTPS; env | grep -c ^DB_"
        name = pod(reachable, there, saying(f"{script}; true"), enableServiceLinks=False)
        port = yaml.safe_load(reachable.kubeconfig.read_text())["clusters"][0]["cluster"]["server"].rpartition(":")[2]
        assert words(reachable, name) == [f"{bridge}:{port}", "0"]
    finally:
        reachable.kubectl("delete", "service", "db")


def test_names_are_resolved_by_the_cluster(reachable: ControlPlane, there: NodeProcess) -> None:
    name = pod(reachable, there, saying("cat /etc/resolv.conf"))
    search, *others = words(reachable, name)
    assert search.startswith("search default.svc.k8s.example svc.k8s.example k8s.example")
    assert others == ["nameserver 10.96.0.10", "options ndots:5"]


def test_a_full_hostname(reachable: ControlPlane, there: NodeProcess) -> None:
    spec = {"hostname": "web", "subdomain": "db", "setHostnameAsFQDN": True}
    name = pod(reachable, there, saying("hostname; tail -n 1 /etc/hosts | cut -f 2-"), **spec)
    full = "web.db.default.svc.k8s.example"
    assert words(reachable, name) == [full, f"{full}\tweb"]
    long = pod(reachable, there, saying("hostname"), **spec | {"subdomain": "d" * 60})
    eventually(lambda: any("is too long (64 characters is the max" in m for m in events(reachable, long)))
    assert reachable.get("pod", long)["status"]["phase"] == "Pending"


def events(cluster: Cluster, name: str, reason: str = "FailedCreatePodSandBox") -> list[str]:
    listed = cluster.get("events")["items"]
    return [e["message"] for e in listed if e["involvedObject"]["name"] == name and e["reason"] == reason]


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "8192"}]}},
            "SysctlForbidden",
            'forbidden sysctl: "kernel.msgmax" not allowlisted',
        ),
        (
            {"hostUsers": False},
            "UnsupportedField",
            "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
        ),
        (
            {"volumes": [{"name": "data", "nfs": {"server": "a", "path": "/"}}]},
            "UnsupportedField",
            "spec.volumes[0].nfs: known to Kubernetes, but vkprovider does not honour it",
        ),
    ],
)
def test_what_would_run_wrongly_is_refused_by_name(
    reachable: ControlPlane, there: NodeProcess, spec: dict[str, Any], reason: str, message: str
) -> None:
    if "hostUsers" in spec and reachable.version < (1, 33):
        pytest.skip("hostUsers is taken by default since 1.33")
    name = pod(reachable, there, saying("true"), **spec)
    eventually(lambda: events(reachable, name, reason) == [message])
    status = reachable.get("pod", name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert status["message"] == f"Pod was rejected: {message}"


def test_an_ordinary_pod_has_nothing_that_is_not_honoured(reachable: ControlPlane, there: NodeProcess) -> None:
    name = pod(reachable, there, saying("echo done"))
    assert words(reachable, name) == ["done"]
    assert events(reachable, name, "UnsupportedField") == []


def test_where_a_pod_is(reachable: ControlPlane, there: NodeProcess) -> None:
    """In a network of its own, and in the node's: it has the same told as the API shows, and the cluster's resolver."""
    fields = ("podIP", "podIPs", "hostIP", "hostIPs")
    told = [{"name": f, "valueFrom": {"fieldRef": {"fieldPath": f"status.{f}"}}} for f in fields]
    says = saying("echo $podIP $podIPs $hostIP $hostIPs; readlink /proc/self/ns/net; cat /etc/resolv.conf", env=told)
    node = reachable.get("node", there.name)["status"]["addresses"][0]["address"]
    nodes = os.readlink("/proc/self/ns/net")
    for on_the_nodes, policy in ((False, "ClusterFirst"), (True, "ClusterFirstWithHostNet")):
        name = pod(reachable, there, says, hostNetwork=on_the_nodes, dnsPolicy=policy)
        addresses, network, *resolver = words(reachable, name)
        status = reachable.get("pod", name)["status"]
        own = status["podIP"]
        assert (own == node, network == nodes) == (on_the_nodes, on_the_nodes)
        assert (status["podIPs"], status["hostIP"], status["hostIPs"]) == ([{"ip": own}], node, [{"ip": node}])
        assert addresses.split() == [own, own, node, node]
        assert "nameserver 10.96.0.10" in resolver
