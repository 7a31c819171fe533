"""Keys of pods: of every kind that may be asked for, and proofs that an API server can check."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
    load_pem_private_key,
)

from vkprovider.kube.references.pod_keys import empty_request, new_key, proof_of_possession, public_half
from vkprovider.model.volume import KEY_TYPES


def test_a_key_of_ours_is_not_checked() -> None:
    """To check one of RSA holds up everything else in the process."""
    sound = rsa.generate_private_key(65537, 2048).private_numbers()
    broken = rsa.RSAPrivateNumbers(
        sound.p, sound.q, sound.d, sound.dmp1 + 2, sound.dmq1, sound.iqmp, sound.public_numbers
    )
    made = broken.private_key(unsafe_skip_rsa_key_validation=True)
    key = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ValueError, match="key"):
        load_pem_private_key(key, password=None)
    assert public_half(key) == public_half(key)


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_a_key_its_proof_and_its_request(kind: str) -> None:
    key = new_key(kind)
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    public, proof = load_der_public_key(public_half(key)), proof_of_possession(key, "uid")
    match public:
        case rsa.RSAPublicKey(key_size=size):
            assert kind == f"RSA{size}"
            public.verify(proof, b"uid", padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO), SHA256())
        case ec.EllipticCurvePublicKey(curve=curve):
            assert kind == f"ECDSAP{curve.key_size}"
            public.verify(proof, b"uid", ec.ECDSA(SHA256()))
        case ed25519.Ed25519PublicKey():
            assert kind == "ED25519"
            public.verify(proof, b"uid")
    request = x509.load_der_x509_csr(empty_request(key))
    assert (request.public_key(), request.is_signature_valid) == (public, True)
    assert (len(request.subject), len(request.extensions)) == (0, 0)
