"""Who may use the node's API, as a real API server says: certificates, tokens, permissions, and whom the node shows."""

from __future__ import annotations

import json
import ssl
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from vkprovider.node.clock import SystemClock

from .certificates import VALID_FROM
from .clients import Cluster
from .controlplane import ControlPlane
from .identities import DEPLOY
from .nodes import NodeProcess
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

RUN = "/exec/default/web/app?output=1&command=true"


class Client(NamedTuple):
    """Somebody who asks a node directly."""

    context: ssl.SSLContext
    token: str = ""

    def ask(self, node: str, path: str) -> tuple[int, str]:
        """Status and body. Raises URLError where TLS does not come about."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(node + path, headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            return refused.code, refused.read().decode()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def bearer(token: str) -> Client:
    return Client(trusting(), token)


def certified(folder: Path, plane: ControlPlane, user: str, ends: datetime | None = None) -> Client:
    """Who has a client certificate that the cluster's authority has signed."""
    name = f"{user}-{uuid4().hex[:6]}"
    authority = x509.load_pem_x509_certificate((plane.folder / "ca.crt").read_bytes())
    signing = load_pem_private_key((plane.folder / "ca.key").read_bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(f"CN={user}"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(VALID_FROM)
        .not_valid_after(ends or SystemClock().now() + timedelta(hours=1))
        .sign(signing, SHA256())
    )
    pair = folder / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = trusting()
    context.load_cert_chain(pair)
    return Client(context)


def url(cluster: Cluster, node: NodeProcess) -> str:
    status = cluster.get("node", node.name)["status"]
    (address,) = [each["address"] for each in status["addresses"] if each["type"] == "InternalIP"]
    return f"https://{address}:{status['daemonEndpoints']['kubeletEndpoint']['Port']}"


@pytest.fixture
def granted(cluster: Cluster) -> Iterator[str]:
    """A user that may get healthz of nodes, and nothing else."""
    name = f"monitor-{uuid4().hex[:8]}"
    cluster.kubectl("create", "clusterrole", name, "--verb=get", "--resource=nodes/healthz")
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={name}")
    yield name
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)


def test_administrators_are_let_in(cluster: Cluster, node: NodeProcess, tmp_path: Path) -> None:
    config = json.loads(cluster.kubectl("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
    user = config["users"][0]["user"]
    pair = tmp_path / "admin.pem"
    pair.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    context = trusting()
    context.load_cert_chain(pair)
    assert Client(context).ask(url(cluster, node), "/healthz") == (200, "ok")


def test_a_certificate_is_worth_what_its_user_may_do(
    control_plane: ControlPlane, cluster: Cluster, node: NodeProcess, tmp_path: Path, granted: str
) -> None:
    if control_plane is not cluster:
        pytest.skip("needs the key of the cluster's authority")
    there = url(cluster, node)
    monitor = certified(tmp_path, control_plane, granted)
    assert monitor.ask(there, "/healthz") == (200, "ok")
    told = f"Forbidden (user={granted}, verb=get, resource=nodes, subresource(s)=[proxy])\n"
    assert monitor.ask(there, RUN) == (403, told)
    told = "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n"
    assert certified(tmp_path, control_plane, "nobody").ask(there, "/healthz") == (403, told)


def test_a_certificate_that_has_ended_is_worth_nothing(
    control_plane: ControlPlane, cluster: Cluster, node: NodeProcess, tmp_path: Path, granted: str
) -> None:
    if control_plane is not cluster:
        pytest.skip("needs the key of the cluster's authority")
    expired = certified(tmp_path, control_plane, granted, SystemClock().now() - timedelta(minutes=1))
    there = url(cluster, node)
    with pytest.raises(OSError, match=r"expired|reset by peer|closed"):
        expired.ask(there, "/healthz")
    assert certified(tmp_path, control_plane, granted).ask(there, "/healthz") == (200, "ok")


def test_tokens(cluster: Cluster, node: NodeProcess, namespace: str) -> None:
    there, accounts = url(cluster, node), {}
    for account in ("prometheus", "other"):
        cluster.kubectl("create", "serviceaccount", account, f"--namespace={namespace}")
        accounts[account] = cluster.kubectl("create", "token", account, f"--namespace={namespace}").strip()
    role, subject = "system:kubelet-api-admin", f"--serviceaccount={namespace}:prometheus"
    cluster.kubectl("create", "clusterrolebinding", namespace, f"--clusterrole={role}", subject)
    try:
        assert bearer(accounts["prometheus"]).ask(there, "/healthz") == (200, "ok")
        assert bearer(accounts["prometheus"]).ask(there, RUN)[0] == 404
    finally:
        cluster.kubectl("delete", "clusterrolebinding", namespace)
    user = f"system:serviceaccount:{namespace}:other"
    told = f"Forbidden (user={user}, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n"
    assert bearer(accounts["other"]).ask(there, "/healthz") == (403, told)
    for token in ("", "wrong", accounts["other"][:-9]):
        assert bearer(token).ask(there, "/healthz") == (401, "Unauthorized")


def test_a_node_of_its_own_shows_a_certificate_that_the_cluster_has_signed(
    control_plane: ControlPlane, image: None, tmp_path: Path
) -> None:
    name = f"node-{uuid4().hex[:8]}"

    def requested() -> list[str]:
        found = control_plane.get("certificatesigningrequests")["items"]
        return [
            each["metadata"]["name"]
            for each in found
            if each["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
            and each["spec"]["username"] == f"system:node:{name}"
        ]

    control_plane.kubectl("apply", f"--filename={DEPLOY / 'rbac-kubelet-api.yaml'}")
    with NodeProcess(control_plane, name, tmp_path, control_plane.node_identity) as node:
        eventually(requested)
        (request,) = requested()
        there = url(control_plane, node)
        verifying = ssl.create_default_context(cadata=control_plane.ca.decode())
        admin = Client(verifying, control_plane.kubectl("create", "token", "default").strip())
        with pytest.raises(URLError, match="self-signed certificate"):
            admin.ask(there, "/healthz")
        eventually(lambda: f"kubectl certificate approve {request}" in node.log)
        control_plane.kubectl("certificate", "approve", request)

        def trusted() -> bool:
            try:
                return admin.ask(there, "/healthz")[0] == 403  # who it is, is known; what it may do, is nothing
            except URLError:
                return False

        eventually(trusted, 90)
        assert requested() == [request]
