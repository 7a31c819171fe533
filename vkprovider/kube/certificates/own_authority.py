"""Authorities of vkprovider's own, and the certificates that they sign.

Imports ``cryptography``, and is itself imported late, as ``key_pair``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vkprovider.kube.certificates.authorities import EARLIER, Authority

_BLOCK = re.compile(rb"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n?", re.DOTALL)
_CERTIFIES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def new_authority(name: str, now: datetime, life: timedelta) -> Authority:
    """One that signs itself. Each has a name of its own, so that a client cannot take one for another."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(f"{name} {now:%Y%m%dT%H%M%SZ}")
    builder = _builder(subject, subject, key, now, now + life)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = builder.add_extension(_CERTIFIES, critical=True).sign(key, SHA256())
    return _authority(certificate, _pem(key))


def read_authorities(certificates: bytes, keys: bytes) -> tuple[Authority, ...]:
    """Those in PEM, a key for each certificate in the same order. Raises ValueError where they are no such thing."""
    found = x509.load_pem_x509_certificates(certificates)
    pairs = list(zip(found, _BLOCK.findall(keys), strict=True))
    for certificate, key in pairs:
        if certificate.public_key() != load_pem_private_key(key, password=None).public_key():
            raise ValueError("a key is not that of its certificate")
    return tuple(_authority(certificate, key) for certificate, key in pairs)


def issue(authority: Authority, hosts: Sequence[str], now: datetime) -> bytes:
    """A new key, and its certificate for a server that ``hosts`` (names and addresses) lead to, in PEM."""
    signing = load_pem_private_key(authority.key, password=None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_named(hosts[0]), issuer.subject, key, now, authority.ends)
    for extension in (
        x509.SubjectAlternativeName([_general_name(host) for host in hosts]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
    ):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signing, SHA256()).public_bytes(Encoding.PEM) + _pem(key)


def bundle(authorities: Iterable[Authority]) -> bytes:
    """Their certificates, for clients that are to trust them."""
    return b"".join(authority.certificate for authority in authorities)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _authority(certificate: x509.Certificate, key: bytes) -> Authority:
    return Authority(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key,
        made=certificate.not_valid_before_utc + EARLIER,
        ends=certificate.not_valid_after_utc,
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
