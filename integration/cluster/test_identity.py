"""Who the node is to the cluster: a certificate that it asks for and renews itself, and what that lets it do."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509

from vkprovider.node.clock import SystemClock

from .binaries import find_binaries
from .clients import Cluster, KubectlError, write_kubeconfig_of
from .controlplane import ControlPlane
from .identities import DEPLOY
from .nodes import NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
CERTIFICATE_SECONDS = 20  # for which certificates hold that are to be renewed before the test's eyes

Join = Callable[..., NodeProcess]


@pytest.fixture
def joining(image: None, tmp_path: Path) -> Iterator[Join]:
    """Starts nodes that have nothing but a bootstrap token."""
    started: list[NodeProcess] = []

    def join(cluster: Cluster, *flags: str, bootstrap: Path | None = None) -> NodeProcess:
        name, given = f"node-{uuid4().hex[:8]}", bootstrap or write_bootstrap(cluster, tmp_path / "bootstrap.conf")
        folder = tmp_path / name
        folder.mkdir()
        process = NodeProcess(cluster, name, folder, None, f"--bootstrap-kubeconfig={given}", *flags)
        started.append(process)
        return process

    yield join
    for process in started:
        process.__exit__(None, None, None)


@pytest.fixture(scope="module")
def hasty() -> Iterator[ControlPlane]:
    """A control plane that signs for seconds only."""
    flags = {"kube-controller-manager": [f"--cluster-signing-duration={CERTIFICATE_SECONDS}s"]}
    with ControlPlane.start(flags=flags) as plane:
        plane.kubectl("apply", f"--filename={DEPLOY / 'rbac-bootstrap.yaml'}")
        yield plane


@pytest.fixture
def approving(control_plane: ControlPlane) -> Iterator[None]:
    """Whoever has a bootstrap token becomes a node without an administrator."""
    manifest = f"--filename={DEPLOY / 'rbac-bootstrap.yaml'}"
    control_plane.kubectl("apply", manifest)
    yield
    control_plane.kubectl("delete", manifest)


@pytest.fixture
def asking(control_plane: ControlPlane) -> Iterator[None]:
    """Whoever has a bootstrap token may ask, and waits for an administrator."""
    control_plane.kubectl(
        "create", "clusterrolebinding", "ask", "--clusterrole=system:node-bootstrapper", "--group=system:bootstrappers"
    )
    yield
    control_plane.kubectl("delete", "clusterrolebinding", "ask")


def write_bootstrap(cluster: Cluster, path: Path) -> Path:
    """A kubeconfig with a new bootstrap token, as `kubeadm token create` makes them."""
    token_id, secret = secrets.token_hex(3), secrets.token_hex(8)
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "stringData": {"token-id": token_id, "token-secret": secret, "usage-bootstrap-authentication": "true"},
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))
    return write_kubeconfig_of(path, cluster.url, cluster.ca, {"token": f"{token_id}.{secret}"})


def certificate_of(node: NodeProcess) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki(node) / "client.pem").read_bytes())


def pki(node: NodeProcess) -> Path:
    return node.folder / "nodes" / node.name / "pki"


def run_a_job(cluster: Cluster, namespace: str, node: NodeProcess, name: str = "once") -> None:
    """A Job on the node, to its end."""
    spec = on(node.name, shell("app", "true"))
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": {"spec": spec}}}
    there = f"--namespace={namespace}"
    cluster.kubectl("apply", there, "--filename=-", stdin=json.dumps(job))
    cluster.kubectl("wait", there, f"job/{name}", "--for=condition=Complete", "--timeout=60s", seconds=70)
    cluster.kubectl("delete", there, f"job/{name}")
    eventually(lambda: not cluster.get("pods", there)["items"], 30)


def requests_of(cluster: Cluster, node: NodeProcess) -> list[str]:
    """The names of the signing requests for the node as a client."""
    found = cluster.get("certificatesigningrequests")["items"]
    names = [each["metadata"]["name"] for each in found if each["spec"]["signerName"] == CLIENT_SIGNER]
    return [name for name in names if name.startswith(f"system-node-{node.name}-")]


def test_a_bootstrap_token_is_enough_to_join(
    control_plane: ControlPlane, approving: None, namespace: str, joining: Join
) -> None:
    node = joining(control_plane)
    node.start()
    assert f"user=system:node:{node.name}" in node.log
    assert f" certificate of node {node.name}" not in node.log.replace("serving certificate", "")
    assert [path.stat().st_mode & 0o777 for path in sorted(pki(node).iterdir())] == [0o600, 0o600]
    run_a_job(control_plane, namespace, node)
    before = certificate_of(node)
    (node.folder.parent / "bootstrap.conf").unlink()  # it has served
    node.stop()
    node.start()
    assert certificate_of(node) == before
    assert len(requests_of(control_plane, node)) == 1


def test_the_commands_of_the_documentation_lead_there(
    control_plane: ControlPlane, joining: Join, tmp_path: Path
) -> None:
    text = (DEPLOY.parent / "docs" / "how-to" / "permissions.md").read_text().partition("## A certificate of")[2]
    commands, last, _ = text.partition("```sh\n")[2].partition("```")[0].partition("vkprovider node")
    assert last
    (tmp_path / "deploy").symlink_to(DEPLOY)
    path = f"{find_binaries()}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "KUBECONFIG": str(control_plane.kubeconfig), "HOME": str(tmp_path)}
    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, env=environment, check=True, timeout=60)
    joining(control_plane, bootstrap=tmp_path / "bootstrap.conf").start()
    control_plane.kubectl("delete", f"--filename={DEPLOY / 'rbac-bootstrap.yaml'}")


def test_without_automatic_approval_the_administrator_is_told_what_to_do(
    control_plane: ControlPlane, asking: None, joining: Join
) -> None:
    node = joining(control_plane)
    node.launch()
    eventually(lambda: "waits for approval" in node.log)
    node.stop()
    node.launch()  # the same request goes on
    eventually(lambda: node.log.count("waits for approval") == 2)
    (request,) = requests_of(control_plane, node)
    assert f"kubectl certificate approve {request}" in node.log
    control_plane.kubectl("certificate", "approve", request)
    eventually(node.is_ready, 40)


def test_a_denied_request_is_asked_again_once_it_is_deleted(
    control_plane: ControlPlane, asking: None, joining: Join
) -> None:
    node = joining(control_plane)
    node.launch()
    eventually(lambda: requests_of(control_plane, node))
    (request,) = requests_of(control_plane, node)
    control_plane.kubectl("certificate", "deny", request)
    eventually(lambda: f"{request} was denied" in node.log)
    assert f"kubectl delete csr {request}" in node.log
    control_plane.kubectl("delete", "csr", request)
    eventually(lambda: requests_of(control_plane, node) == [request])
    control_plane.kubectl("certificate", "approve", request)
    eventually(node.is_ready, 40)


def test_certificates_are_renewed_before_they_end(hasty: ControlPlane, joining: Join) -> None:
    node = joining(hasty)
    node.start()
    first, process = certificate_of(node), node.pid
    eventually(lambda: certificate_of(node).serial_number != first.serial_number, CERTIFICATE_SECONDS)
    second = certificate_of(node)
    assert second.subject == first.subject
    eventually(lambda: certificate_of(node).serial_number != second.serial_number, 2 * CERTIFICATE_SECONDS)
    assert node.pid == process
    hasty.kubectl("create", "namespace", "renewed")
    eventually(lambda: hasty.get("serviceaccounts", "--namespace=renewed")["items"])
    run_a_job(hasty, "renewed", node)  # both certificates that it has had before have ended
    assert "does not accept the credentials" not in node.log
    assert "watch of" not in node.log


def test_a_certificate_that_has_ended_is_replaced_with_the_token(hasty: ControlPlane, joining: Join) -> None:
    """As after a machine's sleep. The process goes on."""
    node = joining(hasty)
    node.start()
    os.kill(node.pid, signal.SIGSTOP)
    ended = certificate_of(node)
    eventually(lambda: ended.not_valid_after_utc < SystemClock().now(), 2 * CERTIFICATE_SECONDS)
    os.kill(node.pid, signal.SIGCONT)
    eventually(lambda: certificate_of(node).serial_number != ended.serial_number)
    run_a_job(hasty, "default", node, "later")
    assert node.is_ready()


def test_the_api_server_keeps_a_node_to_itself(
    control_plane: ControlPlane, approving: None, namespace: str, joining: Join
) -> None:
    """NodeRestriction is at work, and what it refuses is not asked for: the node registers well all the same."""
    node = joining(control_plane, "--labels=team=a,node-restriction.kubernetes.io/pool=x")
    node.start()
    labels = control_plane.get("node", node.name)["metadata"]["labels"]
    assert labels["team"] == "a"
    assert not {"node-restriction.kubernetes.io/pool", "kubernetes.io/role"} & labels.keys()
    assert "a node may not give these labels to itself" in node.log
    assert [taint["key"] for taint in control_plane.get("node", node.name)["spec"]["taints"] if "key" in taint]
    itself = Cluster(pki(node) / "kubeconfig.json", find_binaries() / "kubectl")
    refusals = [
        (("label", "node", node.name, "node-restriction.kubernetes.io/pool=x"), "is not allowed to modify labels"),
        (("taint", "node", node.name, "own=x:NoSchedule"), "is not allowed to modify taints"),
        (("get", "secrets", f"--namespace={namespace}"), "forbidden"),
    ]
    if control_plane.version >= (1, 32):  # since then a node lists but its own pods
        refusals.append((("get", "pods", "--all-namespaces"), "forbidden"))
    for refused, words in refusals:
        with pytest.raises(KubectlError, match=words):
            itself.kubectl(*refused)
