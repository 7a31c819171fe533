"""What the node says, and does, where the cluster does not have it: it names the matter, goes on trying, and joins as
soon as it may. Only a command line that cannot be right ends it.
"""

from __future__ import annotations

import json
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .clients import Cluster, write_kubeconfig_of
from .controlplane import ControlPlane
from .identities import DEPLOY
from .nodes import NodeProcess, on, shell
from .probes import free_ports
from .processes import PROGRAM
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

OWN_ERROR = 125

Launch = Callable[[Path], NodeProcess]


@pytest.fixture
def launched(cluster: Cluster, image: None, tmp_path: Path) -> Iterator[Launch]:
    """Starts nodes that cannot join at once."""
    nodes: list[NodeProcess] = []

    def launch(access: Path) -> NodeProcess:
        name = f"node-{uuid4().hex[:8]}"
        folder = tmp_path / name
        folder.mkdir()
        nodes.append(NodeProcess(cluster, name, folder, access))
        nodes[-1].launch()
        return nodes[-1]

    yield launch
    for node in nodes:
        node.__exit__(None, None, None)  # it ends well, whatever it waits for


class Account:
    """A ServiceAccount that may do nothing yet."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.name = f"test-{uuid4().hex[:8]}"
        self._given: dict[tuple[str, str], str] = {}
        cluster.kubectl("create", "serviceaccount", self.name, f"--namespace={namespace}")
        self.token = cluster.kubectl("create", "token", self.name, f"--namespace={namespace}").strip()

    def write(self, path: Path, token: str = "") -> Path:
        """A kubeconfig for it."""
        return write_kubeconfig_of(path, self._cluster.url, self._cluster.ca, {"token": token or self.token})

    def grant(self, kind: str, name: str, without: str = "") -> None:
        """Give it what a role in deploy/ allows, but for the resource ``without``, and no less than before."""
        documents = yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text())
        (role,) = (each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name))
        role["metadata"]["name"] = f"{self.name}-{name}"
        role["rules"] = [rule for rule in role["rules"] if without not in rule["resources"]]
        there = role["metadata"].get("namespace", "")
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": f"{kind}Binding",
            "metadata": role["metadata"],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role["metadata"]["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self._namespace}],
        }
        for each in (role, binding):
            self._given[each["kind"], there] = each["metadata"]["name"]
            self._cluster.kubectl("apply", "--filename=-", stdin=json.dumps(each))

    def grant_all(self) -> None:
        for kind, name in (
            ("ClusterRole", "vkprovider-node"),
            ("ClusterRole", "vkprovider-pods"),
            ("Role", "vkprovider-node"),
        ):
            self.grant(kind, name)

    def revoke(self) -> None:
        for (kind, there), name in self._given.items():
            self._cluster.kubectl("delete", kind, name, f"--namespace={there or 'default'}")


@pytest.fixture
def account(cluster: Cluster, namespace: str) -> Iterator[Account]:
    account = Account(cluster, namespace)
    yield account
    account.revoke()


def expired(token: str, key: Path) -> str:
    """The same token as if it had been given long ago, signed with the cluster's own key."""
    head, body, _ = token.split(".")
    claims = json.loads(urlsafe_b64decode(body + "=="))
    claims |= {"iat": 1_000_000_000, "nbf": 1_000_000_000, "exp": 1_000_003_600}
    unsigned = f"{head}.{encoded(json.dumps(claims).encode())}"
    private = load_pem_private_key(key.read_bytes(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    halves = decode_dss_signature(private.sign(unsigned.encode(), ec.ECDSA(SHA256())))
    return f"{unsigned}.{encoded(b''.join(half.to_bytes(32) for half in halves))}"


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def complained(node: NodeProcess, words: str) -> bool:
    """Whether the process has said so, and lives."""
    assert node.is_alive(), node.log
    return words in node.log


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "it does not exist"),
        ("apiVersion: [", "while parsing"),
        ("{}", "Expected key current-context"),
        ("{current-context: a, contexts: [], clusters: [], users: []}", "Expected object with name a"),
    ],
    ids=["missing", "no YAML", "no kubeconfig", "no context"],
)
@pytest.mark.parametrize("flag", ["--kubeconfig", "--bootstrap-kubeconfig"])
def test_a_wrong_kubeconfig_ends_the_process_with_one_line(
    tmp_path: Path, flag: str, content: str | None, words: str
) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [PROGRAM, "node", "--nodename", "wrong", flag, path, "--state-dir", tmp_path / "state"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == OWN_ERROR
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith(f"vkprovider: kubeconfig {path}: ")
    assert words in line


def test_a_server_that_cannot_be_reached_is_tried_again(
    account: Account, cluster: Cluster, tmp_path: Path, launched: Launch
) -> None:
    nowhere = f"https://127.0.0.1:{free_ports(1)[0]}"
    path = write_kubeconfig_of(tmp_path / "conf", nowhere, cluster.ca, {"token": account.token})
    node = launched(path)
    complaint = f"cannot create selfsubjectreviews: {nowhere} cannot be reached: Connection refused"
    eventually(lambda: complained(node, complaint))
    node.stop()
    assert node.log.count(complaint) == 1


def test_a_token_that_has_expired_is_named_and_its_successor_taken_up(
    control_plane: ControlPlane, cluster: Cluster, account: Account, tmp_path: Path, launched: Launch
) -> None:
    if control_plane is not cluster:
        pytest.skip("the key that signs tokens is at hand only for a control plane of the test run's own")
    account.grant_all()
    path = account.write(tmp_path / "conf", expired(account.token, control_plane.folder / "service-account.key"))
    node = launched(path)
    complaint = "cannot create selfsubjectreviews: the API server does not accept the credentials, renew them"
    eventually(lambda: complained(node, complaint))
    account.write(path)
    eventually(lambda: complained(node, "node registered"), 40)
    assert node.log.count(complaint) == 1


def test_each_verb_that_is_forbidden_is_named_and_used_once_it_is_granted(
    cluster: Cluster, namespace: str, account: Account, tmp_path: Path, launched: Launch
) -> None:
    """The roles are granted one by one, to a process that goes on all the while."""
    node = launched(account.write(tmp_path / "conf"))
    eventually(lambda: complained(node, "may not create nodes: grant it (deploy/ has the roles that are needed)"))
    account.grant("ClusterRole", "vkprovider-node")
    eventually(lambda: complained(node, "node registered"), 30)
    eventually(lambda: complained(node, f'may not get leases "{node.name}" in namespace kube-node-lease'))
    eventually(lambda: complained(node, "may not list pods"))
    account.grant("Role", "vkprovider-node")
    eventually(node.is_ready, 30)
    account.grant("ClusterRole", "vkprovider-pods", without="pods/status")
    there = f"--namespace={namespace}"
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": on(node.name, shell("app", "true"))}
    cluster.kubectl("apply", there, "--filename=-", stdin=json.dumps(pod))
    eventually(lambda: complained(node, f'may not patch pods/status "p" in namespace {namespace}'), 40)
    account.grant("ClusterRole", "vkprovider-pods")
    cluster.kubectl("wait", there, "pod/p", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", seconds=70)
    cluster.kubectl("delete", there, "pod/p")
    assert "Traceback" not in node.log
