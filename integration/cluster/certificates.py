"""Fresh certificates for one test cluster."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# They live as long as one test run, and hold whatever the machine's clock says.
VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
VALID_UNTIL = datetime(2120, 1, 1, tzinfo=UTC)

CERTIFIES = (
    x509.BasicConstraints(ca=True, path_length=None),
    x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    ),
)
IDENTIFIES = (
    x509.BasicConstraints(ca=False, path_length=None),
    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
)


@dataclass(frozen=True)
class Pair:
    """The PEM files of a certificate and of its private key."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority that writes all it makes into one folder; `pair` is its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._subject = _subject(name, ())
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pair = self._certify(self._subject, self._key, CERTIFIES)

    def issue(self, name: str, groups: Iterable[str] = (), hosts: Iterable[str] = ()) -> Pair:
        """A pair for the user `name` in `groups`, or for the server that `hosts` (names and addresses) lead to."""
        names = [_host(host) for host in hosts]
        alternatives = (x509.SubjectAlternativeName(names),) if names else ()
        key = ec.generate_private_key(ec.SECP256R1())
        return self._certify(_subject(name, groups), key, (*IDENTIFIES, *alternatives))

    def _certify(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Iterable[x509.ExtensionType]
    ) -> Pair:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(VALID_FROM)
            .not_valid_after(VALID_UNTIL)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        name = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.certificate.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        _write_key(pair.key, key)
        return pair


def signing_key(path: Path) -> Path:
    """Write to `path` a key that is certified by nobody: the one that signs the tokens of service accounts."""
    _write_key(path, ec.generate_private_key(ec.SECP256R1()))
    return path


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _subject(name: str, groups: Iterable[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
