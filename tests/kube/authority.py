"""A cluster's certificate authority, and the controllers that approve and sign, at the hands of a test."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fakes.api_server import FakeApiServer

Json = dict[str, Any]
REQUESTS = "certificatesigningrequests"


class Authority:
    """Signs what the server has been asked for."""

    def __init__(self, server: FakeApiServer) -> None:
        self._server = server
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name.from_rfc4514_string("CN=ca")

    @property
    def requests(self) -> list[Json]:
        """The signing requests, the oldest first."""
        return [raw for key, raw in self._server.store.objects.items() if key.plural == REQUESTS]

    @property
    def open(self) -> list[Json]:
        """Those that nobody has seen to."""
        return [raw for raw in self.requests if "status" not in raw]

    def certify(self, request: Json, ends: datetime) -> bytes:
        """A certificate as requested."""
        wanted = x509.load_pem_x509_csr(b64decode(request["spec"]["request"]))
        builder = (
            x509.CertificateBuilder()
            .subject_name(wanted.subject)
            .issuer_name(self._name)
            .public_key(wanted.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=1000))
            .not_valid_after(ends)
        )
        for extension in wanted.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)

    def issue(self, request: Json, ends: datetime) -> bytes:
        """Approve and sign."""
        certificate = self.certify(request, ends)
        conditions = [{"type": "Approved", "status": "True"}]
        self.say(request, conditions=conditions, certificate=b64encode(certificate).decode())
        return certificate

    def say(self, request: Json, **status: Any) -> None:
        self._server.store.edit(REQUESTS, "", request["metadata"]["name"], status=status)

    def forget(self, request: Json) -> None:
        self._server.store.vanish(REQUESTS, "", request["metadata"]["name"])
