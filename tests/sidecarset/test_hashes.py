"""Hashes that are OpenKruise's to the letter: its own tests' (pkg/control/sidecarcontrol/hash_test.go), and more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sidecarset.given import Raw, a_set
from vkprovider.sidecarset.go_json import canonical, go_json, in_go_order
from vkprovider.sidecarset.hashes import HASH, HASH_WITHOUT_IMAGE, containers_hash, fnv, set_hashes

ONE = {"name": "container1", "image": "test-image"}
NATIVE = ONE | {"restartPolicy": "Always"}
# The set of Alibaba Cloud's page on sidecars of virtual nodes, as OpenKruise 1.8.3 has hashed it.
FILEBEAT: Raw = {
    "name": "filebeat",
    "image": "busybox",
    "imagePullPolicy": "IfNotPresent",
    "args": ["/bin/sh", "-c", "cat /etc/filebeat.yml && sleep 36000"],
    "env": [{"name": "ECI_SIDECAR_CONTAINER", "value": "true"}],
    "volumeMounts": [
        {"name": "config", "mountPath": "/etc/filebeat.yml", "readOnly": True, "subPath": "filebeat.yml"},
        {"name": "stdlog", "mountPath": "/var/log/std", "readOnly": True},
    ],
}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"containers": [ONE]}, "w26c4x8fz245642fdv499b464248f974xddx4x55z5dw55bc6x66464fxz77dc78"),
        (
            {"containers": [ONE], "initContainers": [NATIVE]},
            "4xwx4d4844vd4v9x79wb4xbxf4xb29475cc4446v8cz2c2f2f5c5bw448vd42z8w",
        ),
        (
            {"containers": [ONE | {"image": ""}]},
            "8wzddb4dvv9c6x8zdc77z4z75987424f457dfv6724ddw6zbdx467wz5x24fc759",
        ),
        (
            {"containers": [ONE | {"image": ""}], "initContainers": [NATIVE | {"image": ""}]},
            "5725fw8bwbx249bw57v5892c847dzf48bww9zb7c86xb95264fdz26654847b2c8",
        ),
    ],
)
def test_containers_as_they_are_hash_as_in_openkruise(groups: dict[str, list[Raw]], expected: str) -> None:
    assert containers_hash(groups) == expected


def test_a_set_hashes_with_the_defaults_that_openkruise_fills_in() -> None:
    assert set_hashes(a_set(containers=[FILEBEAT]))[HASH].startswith("4689")


def test_what_is_a_default_anyway_changes_nothing() -> None:
    said = {
        "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log",
        "podInjectPolicy": "BeforeAppContainer",
        "upgradeStrategy": {"upgradeType": "ColdUpgrade"},
        "shareVolumePolicy": {"type": "disabled"},
        "resources": {},
    }
    assert set_hashes(a_set(containers=[ONE | said])) == set_hashes(a_set(containers=[ONE]))


def test_only_the_hash_without_images_stays_when_an_image_changes() -> None:
    before, after = (set_hashes(a_set(containers=[ONE | {"image": image}])) for image in ("a:1", "a:2"))
    assert before[HASH] != after[HASH]
    assert before[HASH_WITHOUT_IMAGE] == after[HASH_WITHOUT_IMAGE]


def test_plain_init_containers_are_not_hashed_and_native_sidecars_are() -> None:
    plain = set_hashes(a_set(initContainers=[ONE]))
    assert plain == set_hashes(a_set())
    assert set_hashes(a_set(initContainers=[NATIVE])) != plain


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("EnvVar", {"value": "a<b>&c", "name": "A"}, r'{"name":"A","value":"a\u003cb\u003e\u0026c"}'),
        ("EnvVar", {"name": "A", "value": ""}, '{"name":"A"}'),
        ("SecurityContext", {"runAsUser": 0, "privileged": False}, '{"privileged":false,"runAsUser":0}'),
        ("VolumeMount", {"mountPath": "/a", "readOnly": False, "name": "v"}, '{"name":"v","mountPath":"/a"}'),
        ("Probe", {"grpc": {"port": 1}}, '{"grpc":{"port":1,"service":null}}'),
        ("Probe", {"httpGet": {"port": "http"}}, '{"httpGet":{"port":"http"}}'),
        ("Resources", {"limits": {"memory": "1024Mi", "cpu": "0.5"}}, '{"limits":{"cpu":"500m","memory":"1Gi"}}'),
        ("ResourceFieldSelector", {"resource": "limits.cpu"}, '{"resource":"limits.cpu","divisor":"0"}'),
        ("Claim", {"name": "a", "ofTomorrow": 1}, '{"name":"a"}'),
    ],
)
def test_objects_are_written_as_go_writes_their_structs(kind: str, value: dict[str, Any], text: str) -> None:
    assert go_json(in_go_order(kind, value)) == text


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("1000m", "1"), ("0.5", "500m"), ("1.5", "1500m"), ("12345", "12345"), ("2000M", "2G"), ("1E", "1E"),
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0.5Ki", "512"), ("100Ki", "100Ki"), ("0", "0"), ("0Gi", "0"),
        ("1e3", "1e3"), ("12e1", "120"), ("0.1m", "1m"),
    ],
)  # fmt: skip
def test_quantities_are_canonical(quantity: str, expected: str) -> None:
    assert canonical(quantity) == expected


def test_revisions_are_named_by_fnv_1() -> None:
    """The vectors that its authors publish."""
    assert [fnv(text) for text in (b"", b"a", b"foobar")] == [0x811C9DC5, 0x050C5D7E, 0x31F0B262]
