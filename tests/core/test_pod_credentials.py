"""Authorities and certificates of pods' own in volumes: what they show, and what is said where there is nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.core.given import T0, container, pod
from vkprovider.core.objects import Objects
from vkprovider.core.pod_certificates import (
    CREDENTIAL,
    Issued,
    Refused,
    credential,
    verdict,
    wanted_credential,
)
from vkprovider.core.projections import Fetched, File, NodeShare, is_secret, projected_files, shows_elsewhere
from vkprovider.core.trust_anchors import BUNDLE, BUNDLES_OF_SIGNER
from vkprovider.core.volumes import needed_objects
from vkprovider.errors import SpecError, VkError
from vkprovider.model.pem import in_pem
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

A, B, C = b"\x30a", b"\x30b", b"\x30c"
SIGNER = "example.com/pods"
PLAIN, OF_SIGNER = ObjectRef(BUNDLE, "", "plain"), ObjectRef(BUNDLES_OF_SIGNER, "", SIGNER)
MINE = ObjectRef(CREDENTIAL, "default", "v/0")
OWN = {"signerName": SIGNER, "keyType": "ED25519"}
NODE = NodeShare(memory=1 << 30)


def bundle(*contents: bytes, signer: str = SIGNER, **labels: str) -> dict[str, Any]:
    text = f"of {signer}\n{in_pem(contents).decode()}"
    return {"metadata": {"labels": labels}, "spec": {"signerName": signer, "trustBundle": text}}


OBJECTS: Objects = {
    PLAIN: {"metadata": {}, "spec": {"trustBundle": in_pem([C, A, C]).decode()}},
    OF_SIGNER: {"items": [bundle(B, C, live="yes"), bundle(C, A), bundle(b"\x30x", signer="example.com/other")]},
}


def projecting(*sources: dict[str, Any], **spec: Any) -> Pod:
    return pod(container("app"), volumes=[{"name": "v", "projected": {"sources": list(sources)}}], **spec)


def files(of: Pod, objects: Objects = OBJECTS, node: NodeShare = NODE) -> tuple[File, ...]:
    fetched = Fetched(objects=dict.fromkeys(needed_objects(of)) | dict(objects))
    return projected_files(of, of.spec.volumes[0], fetched, node)


def trust(**how: Any) -> dict[str, Any]:
    return {"clusterTrustBundle": {"path": "ca.pem", **how}}


def by_signer(selector: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    chosen = {} if selector is None else {"labelSelector": selector}
    return trust(signerName=SIGNER, **chosen, **more)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (trust(name="plain"), [A, C]),
        (trust(name="absent", optional=True), []),
        (by_signer({}), [A, B, C]),
        (by_signer({"matchLabels": {"live": "yes"}}), [B, C]),
        (by_signer({"matchExpressions": [{"key": "live", "operator": "DoesNotExist"}]}), [A, C]),
        (by_signer(None, optional=True), []),
        (by_signer({"matchLabels": {"live": "no"}}, optional=True), []),
    ],
)
def test_authorities_are_shown_once_and_in_a_steady_order(source: dict[str, Any], shown: list[bytes]) -> None:
    assert files(projecting(source)) == (File(path="ca.pem", data=in_pem(shown), mode=0o644),)


MISSING = 'while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "absent" not found'
UNMATCHED = "combination of signerName and labelSelector matched zero ClusterTrustBundles"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (trust(name="absent"), MISSING),
        (by_signer(None), UNMATCHED),
        (by_signer({"matchLabels": {"live": "no"}}), UNMATCHED),
        (trust(signerName="example.com/nobody", labelSelector={}), UNMATCHED),
        ({"podCertificate": OWN | {"keyPath": "key"}}, 'podcertificate "v/0" not found'),
    ],
)
def test_what_cannot_be_had(source: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as told:
        files(projecting(source))
    assert str(told.value) == message


@pytest.mark.parametrize("source", [trust(name="plain", optional=True), by_signer({}, optional=True)])
def test_what_is_not_known_is_not_taken_for_absent(source: dict[str, Any]) -> None:
    with pytest.raises(VkError, match="no answer"):
        files(projecting(source), dict.fromkeys((PLAIN, OF_SIGNER), VkError("no answer")))


def test_what_a_pod_needs_for_them() -> None:
    given = projecting({"podCertificate": OWN | {"keyPath": "key"}}, trust(name="plain"), by_signer({}))
    assert needed_objects(given) == {PLAIN, OF_SIGNER, MINE}
    assert not shows_elsewhere(given, given.spec.volumes[0])
    assert wanted_credential(given, MINE).signer_name == SIGNER
    with pytest.raises(SpecError, match="the pod has no certificate v/1"):
        wanted_credential(given, ObjectRef(CREDENTIAL, "default", "v/1"))


@pytest.mark.parametrize(("source", "secret"), [(trust(name="a"), False), ({"podCertificate": OWN}, True)])
def test_keys_are_secret_and_authorities_are_not(source: dict[str, Any], secret: bool) -> None:
    assert is_secret(projecting(source).spec.volumes[0]) is secret


@pytest.mark.parametrize(
    ("spec", "mode", "owner"),
    [
        ({}, 0o644, None),
        ({"securityContext": {"runAsUser": 7}}, 0o600, 7),
        ({"securityContext": {"fsGroup": 5}}, 0o600, None),
    ],
)
def test_the_files_of_a_certificate(spec: dict[str, Any], mode: int, owner: int | None) -> None:
    paths = {"credentialBundlePath": "d/both", "keyPath": "key", "certificateChainPath": "chain"}
    given = projecting({"podCertificate": OWN | paths}, trust(name="plain"), **spec)
    shown = files(given, dict(OBJECTS) | {MINE: credential("KEY\n", "CHAIN\n")})
    assert {file.path: file.data for file in shown[:3]} == {
        "d/both": b"KEY\nCHAIN\n",
        "key": b"KEY\n",
        "chain": b"CHAIN\n",
    }
    assert {(file.mode, file.owner) for file in shown} == {(mode, owner)}


def test_only_the_files_that_are_asked_for() -> None:
    given = projecting({"podCertificate": OWN | {"certificateChainPath": "chain"}})
    assert [file.path for file in files(given, {MINE: credential("KEY", "CHAIN")})] == ["chain"]


def condition(kind: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True", "reason": "R", "message": 'no "m"'}]}


WHY = r'reason="R" message="no \"m\""'
DUE = {"beginRefreshAt": "2026-01-01T12:00:00Z"}


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({}, None),
        ({"conditions": []}, None),
        (condition("Denied"), Refused(message=f"PodCertificateRequest was permanently denied: {WHY}")),
        (condition("Failed"), Refused(message=f"PodCertificateRequest was permanently failed: {WHY}")),
        (
            condition("Issued") | DUE | {"certificateChain": f"leaf\n{in_pem([A]).decode()}"},
            Issued(chain=in_pem([A]).decode(), renew_at=T0 + timedelta(minutes=2.5)),
        ),
    ],
)
def test_what_a_signer_has_decided(status: dict[str, Any], found: object) -> None:
    assert verdict(status, 0.5) == found


def test_a_status_that_is_none() -> None:
    with pytest.raises(msgspec.ValidationError):
        verdict({"conditions": "Issued"}, 0)
