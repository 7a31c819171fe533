"""Private keys of pods, and the proofs that their requests for certificates carry.

pkg/kubelet/podcertificate/podcertificatemanager.go generateKeyAndProof. Imports ``cryptography``, and is itself
imported late, as ``key_pair``.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_EXPONENT = 65537


def new_key(kind: str) -> bytes:
    """A new key of one of ``KEY_TYPES``, in PEM (PKCS #8)."""
    return _new(kind).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_half(key: bytes) -> bytes:
    """In DER (SubjectPublicKeyInfo)."""
    return _loaded(key).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def proof_of_possession(key: bytes, text: str) -> bytes:
    """A signature of the text."""
    data, loaded = text.encode(), _loaded(key)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return loaded.sign(data, padding.PSS(padding.MGF1(SHA256()), padding.PSS.MAX_LENGTH), SHA256())
    if isinstance(loaded, ec.EllipticCurvePrivateKey):
        return loaded.sign(data, ec.ECDSA(SHA256()))
    return loaded.sign(data)


def empty_request(key: bytes) -> bytes:
    """A signing request that says nothing but whose key it is, in DER (PKCS #10)."""
    loaded = _loaded(key)
    digest = None if isinstance(loaded, ed25519.Ed25519PrivateKey) else SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(loaded, digest)
    return request.public_bytes(Encoding.DER)


def _new(kind: str) -> _Key:
    match kind:
        case "RSA3072":
            return rsa.generate_private_key(_EXPONENT, 3072)
        case "RSA4096":
            return rsa.generate_private_key(_EXPONENT, 4096)
        case "ECDSAP256":
            return ec.generate_private_key(ec.SECP256R1())
        case "ECDSAP384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ECDSAP521":
            return ec.generate_private_key(ec.SECP521R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def _loaded(key: bytes) -> _Key:
    # It is a key of ours. To check one of RSA takes 0.1 to 0.3 s, in which the interpreter does nothing else.
    loaded = load_pem_private_key(key, password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(loaded, _Key)
    return loaded
