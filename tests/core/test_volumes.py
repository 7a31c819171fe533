"""What volumes are made of, and why some cannot be made."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.objects import Objects
from vkprovider.core.projections import Fetched, File, NodeShare
from vkprovider.core.volumes import (
    EmptyDirectory,
    HostPathCheck,
    LogDirectory,
    MemoryVolume,
    PlannedVolume,
    Projection,
    VolumePlan,
    Withheld,
    needed_objects,
    plan_volumes,
)
from vkprovider.errors import NotGranted
from vkprovider.model.refs import ObjectRef

MI = 1024**2
NODE = NodeShare(memory=1024 * MI, allocatable={"cpu": "4", "memory": "1Gi"})
CONFIG = ObjectRef("ConfigMap", "default", "settings")
SECRET = ObjectRef("Secret", "default", "keys")
OBJECTS: Objects = {
    CONFIG: {"data": {"b": "bee", "a": "é"}, "binaryData": {"c": b64encode(b"\xff").decode()}},
    SECRET: {"data": {"token": b64encode(b"t").decode(), "plain": b64encode(b"p").decode()}},
}


def plan(source: dict[str, Any], objects: Objects = OBJECTS, **spec: Any) -> VolumePlan:
    given = pod(spec.pop("app", container("app")), volumes=[{"name": "v", **source}], **spec)
    missing = dict.fromkeys(needed_objects(given))
    return plan_volumes(given, Fetched(objects={**missing, **objects}), "/pods/u", NODE)


def planned(source: dict[str, Any], **spec: Any) -> PlannedVolume:
    found = plan(source, **spec)
    assert found.failures == ()
    (volume,) = found.volumes
    return volume


def failure(source: dict[str, Any], objects: Objects = OBJECTS) -> str:
    found = plan(source, objects)
    assert found.volumes == ()
    (message,) = found.failures
    prefix = 'MountVolume.SetUp failed for volume "v" : '
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


def files(source: dict[str, Any], objects: Objects = OBJECTS) -> list[tuple[str, bytes, int]]:
    found = plan(source, objects)
    assert found.failures == ()
    (volume,) = found.volumes
    assert isinstance(volume, Projection)
    return [(file.path, file.data, file.mode) for file in volume.files]


@pytest.mark.parametrize("source", [{"emptyDir": {}}, {"emptyDir": {"sizeLimit": "1Mi"}}, {}])
def test_empty_dir_on_disk(source: dict[str, Any]) -> None:
    assert planned(source) == EmptyDirectory(name="v", path="/pods/u/volumes/kubernetes.io~empty-dir/v")


@pytest.mark.parametrize(
    ("limit", "container_limit", "size"),
    [
        (None, None, 1024 * MI),
        ("64Mi", None, 64 * MI),
        ("64Mi", "32Mi", 32 * MI),
        (None, "32Mi", 32 * MI),
        ("16Mi", "32Mi", 16 * MI),
        ("2Gi", None, 1024 * MI),
        ("0", None, 1024 * MI),
    ],
)
def test_empty_dir_in_memory_is_as_large_as_the_smallest_limit(
    limit: str | None, container_limit: str | None, size: int
) -> None:
    app = container("app", resources={"limits": {"memory": container_limit}} if container_limit else {})
    source = {"medium": "Memory", **({"sizeLimit": limit} if limit else {})}
    assert planned({"emptyDir": source}, app=app) == MemoryVolume(
        name="v",
        engine_name="vkprovider_u_v",
        options={"type": "tmpfs", "device": "tmpfs", "o": f"size={size},mode=1777"},
    )


def test_empty_dir_in_memory_belongs_to_the_group() -> None:
    found = planned({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, securityContext={"fsGroup": 7})
    assert isinstance(found, MemoryVolume)
    assert found.options["o"] == f"size={MI},mode=3777,gid=7"


def test_logs_have_a_directory_for_each_container() -> None:
    source = {"csi": {"driver": "stdlogplugin.csi.alibabacloud.com"}}
    assert planned(source, initContainers=[container("first")]) == LogDirectory(
        name="v", path="/pods/u/logs", shared_name="default_p_u", containers=("first", "app")
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"emptyDir": {"medium": "HugePages"}}, 'unknown storage medium "HugePages"'),
        ({"nfs": {"server": "s", "path": "/"}}, "no volume plugin matched"),
        ({"csi": {"driver": "d"}}, "driver name d not found in the list of registered CSI drivers"),
        ({"hostPath": {"path": "/a/../b"}}, "invalid HostPath `/a/../b`: must not contain '..'"),
        ({"configMap": {"name": "nowhere"}}, 'configmap "nowhere" not found'),
        ({"secret": {"secretName": "nowhere"}}, 'secret "nowhere" not found'),
        ({"configMap": {"name": "a/b/c"}}, '"a/b/c" is not of the form namespace/name'),
        ({"secret": {"secretName": "/x", "optional": True}}, '"/x" is not of the form namespace/name'),
        ({"projected": {"sources": [{"secret": {"name": "x/"}}]}}, '"x/" is not of the form namespace/name'),
        (
            {"configMap": {"name": "settings", "items": [{"key": "k", "path": "p"}]}},
            "configmap references non-existent config key: k",
        ),
        (
            {"secret": {"secretName": "keys", "items": [{"key": "k", "path": "p"}]}},
            "references non-existent secret key: k",
        ),
    ],
)
def test_what_cannot_be_made(source: dict[str, Any], message: str) -> None:
    assert failure(source) == message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", 'invalid path: must not be empty: ""'),
        ("/etc/passwd", "invalid path: must be relative path: /etc/passwd"),
        ("../x", "invalid path: must not contain '..': ../x"),
        ("x/../../y", "invalid path: must not contain '..': x/../../y"),
        ("..data", "invalid path: must not start with '..': ..data"),
        ("x" * 256, "invalid path: filenames must be less than or equal to 255 characters"),
        ("x/" * 2049, "invalid path: must be less than or equal to 4096 characters"),
    ],
)
def test_no_file_leaves_its_volume(path: str, message: str) -> None:
    source = {"name": "settings", "items": [{"key": "a", "path": path}]}
    assert failure({"configMap": source}) == message


def test_a_key_is_held_to_the_same_rules() -> None:
    assert failure({"configMap": {"name": "settings"}}, {CONFIG: {"data": {"../up": "x"}}}) == (
        "invalid path: must not contain '..': ../up"
    )


def test_what_is_not_base64_is_said() -> None:
    assert failure({"secret": {"secretName": "keys"}}, {SECRET: {"data": {"k": "a b"}}}).startswith(
        "data[k]: illegal base64 data"
    )


def test_all_keys_of_a_config_map_are_files() -> None:
    found = files({"configMap": {"name": "settings"}})
    assert found == [("a", "é".encode(), 0o644), ("b", b"bee", 0o644), ("c", b"\xff", 0o644)]


def test_all_keys_of_a_secret_are_files() -> None:
    found = files({"secret": {"secretName": "keys", "defaultMode": 0o400}})
    assert found == [("plain", b"p", 0o400), ("token", b"t", 0o400)]


def test_chosen_keys_have_paths_and_modes_of_their_own() -> None:
    items = [{"key": "a", "path": "d/./e//f", "mode": 0o600}, {"key": "b", "path": "b"}, {"key": "c", "path": "b"}]
    found = files({"configMap": {"name": "settings", "items": items, "defaultMode": 0o640}})
    assert found == [("d/e/f", "é".encode(), 0o600), ("b", b"\xff", 0o640)]


def test_what_is_optional_may_be_missing() -> None:
    items = [{"key": "k", "path": "k"}, {"key": "a", "path": "a"}]
    assert files({"configMap": {"name": "settings", "items": items, "optional": True}}) == [("a", "é".encode(), 0o644)]
    assert files({"configMap": {"name": "nowhere", "items": items, "optional": True}}) == []
    assert files({"secret": {"secretName": "nowhere", "optional": True}}) == []


@pytest.mark.parametrize("kind", ["", "Directory", "FileOrCreate"])
def test_host_path_is_left_to_be_checked(kind: str) -> None:
    found = planned({"hostPath": {"path": "/var//lib/x/", "type": kind}})
    assert found == HostPathCheck(name="v", path="/var/lib/x", type=kind)


def test_volumes_lie_in_the_pods_directory() -> None:
    config, secret = planned({"configMap": {"name": "settings"}}), planned({"secret": {"secretName": "keys"}})
    assert isinstance(config, Projection)
    assert isinstance(secret, Projection)
    assert config.path == "/pods/u/volumes/kubernetes.io~configmap/v"
    assert secret.path == "/pods/u/volumes/kubernetes.io~secret/v"


CONFIG_SOURCE = {"configMap": {"name": "settings"}}
SECRET_SOURCE = {"secret": {"name": "keys"}}


@pytest.mark.parametrize(
    ("source", "secret"),
    [
        ({"secret": {"secretName": "keys"}}, True),
        ({"projected": {"sources": [CONFIG_SOURCE, SECRET_SOURCE]}}, True),
        ({"projected": {"sources": [CONFIG_SOURCE]}}, False),
        (CONFIG_SOURCE, False),
        ({"downwardAPI": {}}, False),
    ],
)
def test_what_is_secret_belongs_in_memory(source: dict[str, Any], secret: bool) -> None:
    volume = planned(source)
    assert isinstance(volume, Projection)
    assert volume.secret is secret


def test_one_volume_that_fails_does_not_hide_the_others() -> None:
    given = pod(
        container("app"),
        volumes=[
            {"name": "bad", "configMap": {"name": "nowhere"}},
            {"name": "good", "secret": {"secretName": "keys", "items": [{"key": "token", "path": "t"}]}},
            {"name": "worse", "secret": {"secretName": "nowhere"}},
        ],
        securityContext={"fsGroup": 7, "fsGroupChangePolicy": "OnRootMismatch"},
    )
    missing = dict.fromkeys(needed_objects(given))
    assert plan_volumes(given, Fetched(objects={**missing, **OBJECTS}), "/pods/u", NODE) == VolumePlan(
        pod_uid="u",
        pod_dir="/pods/u",
        volumes=(
            Projection(
                name="good",
                path="/pods/u/volumes/kubernetes.io~secret/good",
                files=(File(path="t", data=b"t", mode=0o644),),
                secret=True,
            ),
        ),
        fs_group=7,
        on_root_mismatch=True,
        failures=(
            'MountVolume.SetUp failed for volume "bad" : configmap "nowhere" not found',
            'MountVolume.SetUp failed for volume "worse" : secret "nowhere" not found',
        ),
    )


def test_needed_objects_are_all_the_volumes_refer_to() -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "settings"}},
        {"name": "b", "secret": {"secretName": "keys"}},
        {"name": "c", "emptyDir": {}},
    ]
    assert needed_objects(pod(container("app"), volumes=volumes)) == {CONFIG, SECRET}


ELSEWHERE = ObjectRef("ConfigMap", "kube-system", "settings")
REFERRING = {"name": "kube-system/settings"}


def test_an_object_of_another_namespace() -> None:
    assert needed_objects(pod(container("app"), volumes=[{"name": "v", "configMap": REFERRING}])) == {ELSEWHERE}
    given = {ELSEWHERE: {"data": {"a": "1"}}}
    assert files({"configMap": REFERRING}, given) == [("a", b"1", 0o644)]


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("kind", ["configMap", "projected"])
def test_what_is_not_granted_is_withheld_whatever_else_is_missing(kind: str, optional: bool) -> None:
    refused = REFERRING | {"optional": optional}
    sources = [{"configMap": {"name": "nowhere"}}, {"configMap": refused}, CONFIG_SOURCE]
    source = {"configMap": refused} if kind == "configMap" else {"projected": {"sources": sources}}
    found = plan(source, {**OBJECTS, ELSEWHERE: NotGranted("not yours")})
    path = f"/pods/u/volumes/kubernetes.io~{kind.lower()}/v"
    assert (found.volumes, found.failures) == ((Withheld(name="v", path=path, refusal="not yours"),), ())
