"""Private keys, signing requests for them, and certificates, all in PEM.

This module is the only one that imports ``cryptography``, and is itself imported late: a node that brings its own
credentials needs none of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID


def new_key() -> bytes:
    """A new private key, on the curve that kubelets use (client-go util/keyutil MakeEllipticPrivateKeyPEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_half(key: bytes) -> bytes:
    """The public key, by which a certificate for ``key`` is known. Raises ValueError where ``key`` is none of ours."""
    return _loaded(key).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signing_request(key: bytes, common_name: str, organizations: Iterable[str], hosts: Iterable[str]) -> bytes:
    """The request for a certificate that says so much of the holder of ``key``. ``hosts`` are addresses and names."""
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    names = [_general_name(host) for host in hosts]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(_loaded(key), SHA256()).public_bytes(Encoding.PEM)


def expiry(certificate: bytes, key: bytes) -> datetime:
    """When the certificate for ``key`` ends. Raises ValueError where it is none, or is for another key."""
    first = x509.load_pem_x509_certificate(certificate)
    held = first.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if held != public_half(key):
        raise ValueError("the certificate is for another key")
    return first.not_valid_after_utc


def hosts(certificate: bytes) -> set[str]:
    """The names and addresses that a server's certificate is for. Raises ValueError where it is none."""
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _loaded(key: bytes) -> ec.EllipticCurvePrivateKey:
    loaded = load_pem_private_key(key, password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not of the kind that vkprovider makes")
    return loaded


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
