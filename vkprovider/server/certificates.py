"""TLS of the node's API: our certificate, and whose certificates clients may show."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from vkprovider.server.refusals import ServerError

LIFE = timedelta(days=365)
_EARLIER = timedelta(hours=1)  # for clocks that are slow


class Pair(NamedTuple):
    """The files, in PEM, of a certificate (with those that lead to its authority) and of its key: or both the same."""

    certificate: Path
    key: Path


def server_context(pair: Pair, client_authorities: str) -> ssl.SSLContext:
    """TLS with our certificate, and for clients those certificates that these authorities signed; "" for none.

    Raises ServerError where files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(pair.certificate, pair.key, password="")  # else an encrypted key is asked about
    except (OSError, ValueError) as exc:
        why = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc
        raise ServerError(f"certificate {pair.certificate} with key {pair.key} cannot be used: {why}") from exc
    if client_authorities:
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_verify_locations(cadata=client_authorities)
        except (ssl.SSLError, ValueError) as exc:
            why = getattr(exc, "reason", None) or exc
            raise ServerError(f"the authority of client certificates cannot be read: {why}") from exc
    return context


def ends(pair: Pair) -> datetime:
    """When the certificate ends. Raises ServerError where there is none."""
    try:
        return x509.load_pem_x509_certificate(pair.certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as exc:
        raise ServerError(f"certificate {pair.certificate} cannot be read: {exc}") from exc


def write_self_signed(path: Path, names: Sequence[str], now: datetime) -> None:
    """A new key, and a certificate for these names and addresses that nobody has signed, in one file of our own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with open(path, "wb", opener=partial(os.open, mode=0o600)) as file:
        file.write(certificate.public_bytes(Encoding.PEM) + private)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
