"""A cluster's authority over client certificates."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vkprovider.node.clock import SystemClock

CA = "CN=ca"
IN_AN_HOUR = timedelta(hours=1)


class Authority:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self._sign(CA, self._key, IN_AN_HOUR).public_bytes(Encoding.PEM).decode()

    def client(self, subject: str, lasts: timedelta = IN_AN_HOUR) -> ssl.SSLContext:
        """TLS of a client that shows a certificate for a subject, and trusts any server."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        pair = self._folder / "client.pem"
        pair.write_bytes(self._sign(subject, key, lasts).public_bytes(Encoding.PEM) + private)
        context = anonymous()
        context.load_cert_chain(pair)
        return context

    def _sign(self, subject: str, key: ec.EllipticCurvePrivateKey, lasts: timedelta) -> x509.Certificate:
        now = SystemClock().now()
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name.from_rfc4514_string(subject))
            .issuer_name(x509.Name.from_rfc4514_string(CA))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca=subject == CA, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )


def anonymous() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
