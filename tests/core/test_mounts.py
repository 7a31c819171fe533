"""Where containers see their volumes and files."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.faults import Fault
from vkprovider.core.mounts import MountPlan, SubPath, plan_mounts, sandbox_mounts
from vkprovider.model.create import Mount

VOLUMES = [
    {"name": "disk", "emptyDir": {}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "config", "configMap": {"name": "c"}},
    {"name": "secret", "secret": {"secretName": "s"}},
    {"name": "host", "hostPath": {"path": "/srv/data/"}},
    {"name": "logs", "csi": {"driver": "stdlogplugin.csi.alibabacloud.com"}},
]
ENV = {"POD": "web-0", "UP": "..", "ROOT": "/etc", "EMPTY": ""}
ETC = {"/etc/hosts": "hosts"}
DISK = "/pods/u/volumes/kubernetes.io~empty-dir/disk"


def planned(*mounts: dict[str, Any], **fields: Any) -> MountPlan:
    given = pod(container("app", volumeMounts=list(mounts), **fields), volumes=VOLUMES)
    return plan_mounts(given, given.spec.containers[0], "/pods/u", 3, ETC, ENV)


def first(**mount: Any) -> Mount:
    return planned(mount).mounts[0]


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ("disk", Mount(source=DISK, target="/m")),
        ("memory", Mount(source="vkprovider_u_memory", target="/m", volume=True)),
        ("config", Mount(source="/pods/u/volumes/kubernetes.io~configmap/config", target="/m", read_only=True)),
        ("secret", Mount(source="/pods/u/volumes/kubernetes.io~secret/secret", target="/m", read_only=True)),
        ("host", Mount(source="/srv/data", target="/m")),
        ("logs", Mount(source="/pods/u/logs", target="/m", read_only=True)),
    ],
)
def test_a_mount_of_each_kind(volume: str, expected: Mount) -> None:
    assert first(name=volume, mountPath="/m") == expected


def test_read_only() -> None:
    assert first(name="disk", mountPath="/m", readOnly=True).read_only


@pytest.mark.parametrize(("path", "target"), [("m/n", "/m/n"), ("/m/", "/m"), ("/m/../n", "/n")])
def test_targets_are_absolute(path: str, target: str) -> None:
    assert first(name="disk", mountPath=path).target == target


@pytest.mark.parametrize(
    ("mode", "propagation"),
    [("None", "rprivate"), ("HostToContainer", "rslave"), ("Bidirectional", "rshared")],
)
def test_propagation(mode: str, propagation: str) -> None:
    assert first(name="host", mountPath="/m", mountPropagation=mode).propagation == propagation


def test_every_container_gets_its_message_file_and_the_pods_hosts() -> None:
    log = "/pods/u/containers/app/3/termination-log"
    assert planned() == MountPlan(
        mounts=(
            Mount(source=log, target="/dev/termination-log"),
            Mount(source="/pods/u/etc-hosts", target="/etc/hosts"),
        ),
        termination_log=log,
        files={"/pods/u/etc-hosts": "hosts"},
    )


@pytest.mark.parametrize("path", ["/etc/hosts", "etc/hosts/"])
def test_a_hosts_file_of_the_containers_own_is_left_to_it(path: str) -> None:
    plan = planned({"name": "host", "mountPath": path, "subPath": "h"})
    assert [mount.target for mount in plan.mounts] == ["/etc/hosts", "/dev/termination-log"]
    assert plan.files == {}


def test_the_message_file_is_where_the_container_wants_it() -> None:
    assert planned(terminationMessagePath="/tmp/last-words").mounts[0].target == "/tmp/last-words"


@pytest.mark.parametrize(
    ("mounts", "path"), [((), ""), (({"name": "disk", "mountPath": "/last/words"},), "/last/words")]
)
def test_no_message_file_where_none_can_be(mounts: tuple[dict[str, Any], ...], path: str) -> None:
    plan = planned(*mounts, terminationMessagePath=path)
    assert plan.termination_log == ""
    assert [mount.target for mount in plan.mounts] == [*(m["mountPath"] for m in mounts), "/etc/hosts"]


@pytest.mark.parametrize(
    ("expression", "path"),
    [("logs/$(POD)", "logs/web-0"), ("$(POD)/$(POD)", "web-0/web-0"), ("$$(POD)", "$(POD)"), ("plain", "plain")],
)
def test_variables_in_sub_paths(expression: str, path: str) -> None:
    plan = planned({"name": "disk", "mountPath": "/m", "subPathExpr": expression})
    assert [sub_path.path for sub_path in plan.sub_paths] == [path]


def test_sub_paths_are_left_to_be_resolved() -> None:
    plan = planned(
        {"name": "memory", "mountPath": "/a"},
        {"name": "disk", "mountPath": "/b", "subPath": "x/y"},
        {"name": "config", "mountPath": "/c", "subPath": "key"},
        {"name": "memory", "mountPath": "/d", "subPath": "z"},
    )
    config, memory = "/pods/u/volumes/kubernetes.io~configmap/config", "vkprovider_u_memory"
    pins = [f"/pods/u/volume-subpaths/{place}" for place in ("disk/app/1", "config/app/2", "memory/app/3")]
    assert plan.sub_paths == (
        SubPath(index=1, root=DISK, path="x/y", volume="disk", container="app", pin=pins[0]),
        SubPath(index=2, root=config, path="key", volume="config", container="app", pin=pins[1]),
        SubPath(index=3, root=memory, path="z", volume="memory", container="app", pin=pins[2], in_memory=True),
    )
    assert [plan.mounts[s.index].target for s in plan.sub_paths] == ["/b", "/c", "/d"]


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"name": "nothing"}, 'cannot find volume "nothing" to mount into container "app"'),
        ({"name": "disk", "subPathExpr": "$(POD)/$(NO)/$(EMPTY)"}, "missing value for EMPTY, NO"),
        ({"name": "disk", "subPathExpr": "$(ROOT)"}, "error SubPath `/etc` must not be an absolute path"),
        ({"name": "disk", "subPathExpr": "a/$(UP)"}, "unable to provision SubPath `a/..`: must not contain '..'"),
        ({"name": "disk", "subPath": "/etc"}, "error SubPath `/etc` must not be an absolute path"),
        ({"name": "disk", "subPath": "a/../.."}, "unable to provision SubPath `a/../..`: must not contain '..'"),
        ({"name": "disk", "mountPropagation": "Sideways"}, 'invalid MountPropagation mode: "Sideways"'),
    ],
)
def test_mounts_that_are_none(mount: dict[str, Any], message: str) -> None:
    with pytest.raises(Fault) as caught:
        planned({"mountPath": "/m", **mount})
    assert (caught.value.waiting_reason, caught.value.message) == ("CreateContainerConfigError", message)


def test_a_container_that_came_later_sees_nothing_of_other_namespaces() -> None:
    volumes = [
        {"name": "other", "configMap": {"name": "kube-system/c"}},
        {"name": "own", "configMap": {"name": "default/c"}},
    ]
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    debug = container("debug", volumeMounts=mounts[1:])
    given = pod(container("app", volumeMounts=mounts), volumes=volumes, ephemeralContainers=[debug])
    for allowed in (*given.spec.containers, *given.spec.ephemeral_containers):
        plan_mounts(given, allowed, "/pods/u", 0, ETC, ENV)
    given = pod(container("app"), volumes=volumes, ephemeralContainers=[container("debug", volumeMounts=mounts)])
    with pytest.raises(Fault, match='volume "other" shows objects of another namespace, and only sidecars may mount'):
        plan_mounts(given, given.spec.ephemeral_containers[0], "/pods/u", 0, ETC, ENV)


def test_the_sandbox_holds_what_is_in_memory() -> None:
    assert sandbox_mounts(pod(container("app"), volumes=VOLUMES)) == (
        Mount(source="vkprovider_u_memory", target="/vkprovider/volumes/memory", volume=True),
    )
