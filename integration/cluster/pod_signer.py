"""A signer of pods' certificates that a test plays, and ClusterTrustBundles."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from vkprovider.node.clock import SystemClock

from .certificates import CERTIFIES
from .clients import Cluster
from .waiting import eventually

REQUESTS = "podcertificaterequests.certificates.k8s.io"
LIFE, REFRESH = timedelta(hours=2), timedelta(minutes=30)  # at least an hour, and ten minutes before and after

Json = dict[str, Any]


class PodSigner:
    """Signs for ``name`` what it is told to."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self.ca = new_authority(name)
        self._cluster = cluster

    def requests(self, pod: str, namespace: str = "default") -> list[Json]:
        """All for a pod of that name."""
        found = self._cluster.get(REQUESTS, f"--namespace={namespace}")["items"]
        return [raw for raw in found if raw["spec"]["signerName"] == self.name and raw["spec"]["podName"] == pod]

    def pending(self, pod: str) -> Json:
        """Wait for the request of a pod that nobody has decided on; any, where it has several."""
        eventually(lambda: self._undecided(pod), 30)
        return self._undecided(pod)[0]

    def issue(self, request: Json) -> str:
        """Give it the certificate, in PEM, that it asks for."""
        now = SystemClock().now().replace(microsecond=0)
        chain = self._certificate(request, now)
        times = {"notBefore": now, "beginRefreshAt": now + REFRESH, "notAfter": now + LIFE}
        status = {key: time.strftime("%Y-%m-%dT%H:%M:%SZ") for key, time in times.items()}
        self._decide(request, "Issued", status | {"certificateChain": f"for the pod\n{chain}"})
        return chain

    def deny(self, request: Json) -> None:
        self._decide(request, "Denied", {})

    def _undecided(self, pod: str) -> list[Json]:
        return [raw for raw in self.requests(pod) if not raw.get("status", {}).get("conditions")]

    def _decide(self, request: Json, kind: str, status: Json) -> None:
        now = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
        condition = {"type": kind, "status": "True", "reason": "Tested", "message": "by a test"}
        body = {"status": status | {"conditions": [condition | {"lastTransitionTime": now}]}}
        name, namespace = request["metadata"]["name"], request["metadata"]["namespace"]
        flags = [f"--namespace={namespace}", "--subresource=status", "--type=merge", f"--patch={json.dumps(body)}"]
        self._cluster.kubectl("patch", REQUESTS, name, *flags)

    def _certificate(self, request: Json, now: datetime) -> str:
        spec = request["spec"]
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(spec["podName"]))
            .issuer_name(self.ca[0].subject)
            .public_key(public_key(spec))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + LIFE)
        )
        return builder.sign(self.ca[1], SHA256()).public_bytes(Encoding.PEM).decode()


def public_key(spec: Json) -> Any:
    """The key that a request is for: 1.34 has the key itself, later versions a signing request."""
    if stub := spec.get("stubPKCS10Request"):
        return x509.load_der_x509_csr(b64decode(stub)).public_key()
    return load_der_public_key(b64decode(spec["pkixPublicKey"]))


def new_authority(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(name))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    for extension in CERTIFIES:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, SHA256()), key


def pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


def matches(key: str, chain: str) -> bool:
    """Whether the first certificate is for the key, both in PEM."""
    der = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certified = x509.load_pem_x509_certificate(chain.encode()).public_key().public_bytes(*der)
    return certified == load_pem_private_key(key.encode(), password=None).public_key().public_bytes(*der)


def put_bundle(cluster: Cluster, name: str, content: str, signer: str = "", **labels: str) -> None:
    """Make or change a ClusterTrustBundle."""
    spec = {"trustBundle": content} | ({"signerName": signer} if signer else {})
    head = {"apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle"}
    raw = head | {"metadata": {"name": name, "labels": labels}, "spec": spec}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(raw))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
