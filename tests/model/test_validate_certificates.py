"""Projections of authorities and certificates that the API server would not take, and bundles of authorities."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.test_validate_projection import findings, projected
from vkprovider.model import names
from vkprovider.model.manifest import TrustBundleManifest
from vkprovider.model.pem import in_pem
from vkprovider.model.pod import read_as
from vkprovider.model.validate_trust_bundle import trust_bundle_findings

AT = "projected.sources[0]"
FORM = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
KINDS = '"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"'


def trust(**fields: Any) -> dict[str, Any]:
    return projected({"clusterTrustBundle": {"path": "ca.pem", **fields}})


def own(**fields: Any) -> dict[str, Any]:
    usual = {"signerName": "example.com/pods", "keyType": "ED25519", "keyPath": "key.pem"}
    return projected({"podCertificate": usual | fields})


@pytest.mark.parametrize(
    "source",
    [
        trust(name="ca"),
        trust(name="example.com:pods:ca.1"),
        trust(signerName="example.com/pods"),
        trust(signerName="example.com/pods", labelSelector={"matchLabels": {"a": "b"}}, optional=True),
        own(),
        own(maxExpirationSeconds=91 * 86400, userAnnotations={"example.com/a": "any"}),
        own(keyPath="", credentialBundlePath="d/both.pem"),
    ],
)
def test_it_is_fine(source: dict[str, Any]) -> None:
    assert findings(source) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (trust(), [": Required value: either name or signerName must be specified"]),
        (
            trust(name="ca", signerName="example.com/pods"),
            [': Invalid value: "ca": only one of name and signerName may be used'],
        ),
        (
            trust(name="ca", labelSelector={}),
            ['.labelSelector: Invalid value: "ca": labelSelector must be unset if name is specified'],
        ),
        (trust(name="a:b"), [f'.name: Invalid value: "a:b": its signer\'s name {FORM}']),
        (trust(signerName=""), [".signerName: Required value"]),
        (trust(signerName="pods"), [f'.signerName: Invalid value: "pods": {FORM}']),
        (
            trust(signerName="com/pods"),
            ['.signerName: Invalid value: "com/pods": should be a domain with at least two segments separated by dots'],
        ),
        (
            trust(signerName="a.b/c", labelSelector={"matchExpressions": [{"key": "a", "operator": "Is"}]}),
            ['.labelSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator'],
        ),
        (trust(name="ca", path=""), [".path: Required value"]),
        (trust(name="ca", path="/ca"), ['.path: Invalid value: "/ca": must be a relative path']),
    ],
)
def test_authorities_that_are_refused(source: dict[str, Any], expected: list[str]) -> None:
    assert findings(source) == [f"{AT}.clusterTrustBundle{each}" for each in expected]


SECONDS = ".maxExpirationSeconds: Invalid value: {}: if provided, maxExpirationSeconds must be {}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (own(signerName="pods"), [f'.signerName: Invalid value: "pods": {FORM}']),
        (own(keyType="RSA2048"), [f'.keyType: Unsupported value: "RSA2048": supported values: {KINDS}']),
        (own(maxExpirationSeconds=3599), [SECONDS.format(3599, ">= 3600")]),
        (own(maxExpirationSeconds=91 * 86400 + 1), [SECONDS.format(7862401, "<= 7862400")]),
        (
            own(maxExpirationSeconds=86401, signerName="kubernetes.io/x"),
            [SECONDS.format(86401, "<= 86400")],
        ),
        (
            own(userAnnotations={"a": "b"}),
            ['.userAnnotations: Invalid value: "a": must be a domain-prefixed key (such as "acme.io/foo")'],
        ),
        (
            own(keyPath=""),
            [": Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath"],
        ),
        (own(keyPath="../key"), [".keyPath: Invalid value: \"../key\": must not contain '..'"]),
    ],
)
def test_certificates_that_are_refused(source: dict[str, Any], expected: list[str]) -> None:
    assert findings(source) == [f"{AT}.podCertificate{each}" for each in expected]


def test_two_files_at_one_place() -> None:
    source = own(certificateChainPath="key.pem")
    assert findings(source) == [f'{AT}: Invalid value: "key.pem": conflicting duplicate paths']


TEXT = in_pem([b"\x30one"]).decode()


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("ca", {"trustBundle": TEXT}, []),
        ("example.com:pods:ca", {"trustBundle": TEXT, "signerName": "example.com/pods"}, []),
        ("", {"trustBundle": TEXT}, ["metadata.name: Required value"]),
        (
            "a.b:c:d",
            {"trustBundle": TEXT},
            [
                'metadata.name: Invalid value: "a.b:c:d": '
                'ClusterTrustBundle without signer name must not have ":" in its name'
            ],
        ),
        (
            "ca",
            {"trustBundle": TEXT, "signerName": "example.com/pods"},
            [
                'metadata.name: Invalid value: "ca": ClusterTrustBundle for signerName example.com/pods must be named '
                "with prefix example.com:pods:"
            ],
        ),
        (
            "ca",
            {"trustBundle": "none"},
            ['spec.trustBundle: Invalid value: "none": at least one trust anchor must be provided'],
        ),
    ],
)
def test_bundles(name: str, spec: dict[str, Any], expected: list[str]) -> None:
    raw = {"apiVersion": "certificates.k8s.io/v1beta1", "kind": "ClusterTrustBundle", "metadata": {"name": name}}
    bundle = read_as(TrustBundleManifest, raw | {"spec": spec})
    assert [str(finding) for finding in trust_bundle_findings(bundle)] == expected


def test_a_signers_name_whose_parts_are_wrong() -> None:
    found = names.signer_name("Example.com/a..b")
    assert [complaint.partition(": ")[0] for complaint in found] == [
        'validating label "Example"',
        'validating label ""',
    ]
