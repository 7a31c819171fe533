"""Pods of an author who means harm: what ``vkprovider run`` refuses, by the name of the field, and what a node makes of
what an API server lets pass. Text that is broken by itself is in ``tests/standalone/test_manifests_text.py``.
"""

from __future__ import annotations

import posixpath
from datetime import timedelta
from typing import Any

import pytest

from tests.core.given import MARK, at, container, exited, given, pod, running
from vkprovider.core.decide import decide
from vkprovider.core.env import Whereabouts, resolve_env
from vkprovider.core.expansion import LONGEST, MOST, expand_all
from vkprovider.core.faults import Fault
from vkprovider.core.mounts import MountPlan, plan_mounts
from vkprovider.core.network_files import hosts_file
from vkprovider.core.projections import Fetched, NodeShare
from vkprovider.core.sidecars import classify
from vkprovider.core.stop_steps import stop_grace
from vkprovider.core.volumes import Projection, VolumePlan, needed_objects, plan_volumes
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ObjectRef
from vkprovider.model.validation import pod_findings

POD_DIR = "/pods/u"
NODE = NodeShare(memory=1 << 30)
WHERE = Whereabouts(node_name="node", host_ip="10.0.0.1")
CONFIG = ObjectRef("ConfigMap", "default", "c")
TRAVERSALS = ["../x", "a/../../x", "..", "/etc/passwd", "/../etc", "a/..", "a\0b"]


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


def mounting(**fields: Any) -> dict[str, Any]:
    return container("app", volumeMounts=[{"name": "v", "mountPath": "/m", **fields}])


def item(path: str) -> dict[str, Any]:
    return {"configMap": {"name": "c", "items": [{"key": "k", "path": path}]}}


def planned(of: Pod, data: dict[str, str] | None = None) -> VolumePlan:
    objects: dict[ObjectRef, Any] = dict.fromkeys(needed_objects(of))
    return plan_volumes(of, Fetched(objects=objects | {CONFIG: {"data": data or {"k": "v"}}}), POD_DIR, NODE)


def mounted(of: Pod, **env: str) -> MountPlan:
    return plan_mounts(of, of.spec.containers[0], POD_DIR, 0, {}, env)


# --- what is refused before anything runs -------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a pod's name": ({"metadata": {"name": "../../etc"}}, "metadata.name"),
    "a namespace": ({"metadata": {"name": "p", "namespace": "../etc"}}, "metadata.namespace"),
    "the value of a label": ({"metadata": {"name": "p", "labels": {"a": "\x1b[31m"}}}, "metadata.labels[a]"),
    "the key of a label": ({"metadata": {"name": "p", "labels": {"a\n": "b"}}}, "metadata.labels"),
    "the key of an annotation": ({"metadata": {"name": "p", "annotations": {"\0": ""}}}, "metadata.annotations"),
    "huge annotations": ({"metadata": {"name": "p", "annotations": {"a": "x" * 300_000}}}, "metadata.annotations"),
    "a container's name": ({"containers": [container("../app")]}, "spec.containers[0].name"),
    "two containers of one name": ({"containers": [container("app"), container("app")]}, "spec.containers[1].name"),
    "a volume's name": (volume() | {"volumes": [{"name": "../v", "emptyDir": {}}]}, "spec.volumes[0].name"),
    "two volumes of one name": ({"volumes": [{"name": "v", "emptyDir": {}}] * 2}, "spec.volumes[1].name"),
    "a volume of no kind": (volume(), "spec.volumes[0]"),
    "a volume of two kinds": (volume(emptyDir={}, hostPath={"path": "/"}), "spec.volumes[0].hostPath"),
    "an unknown medium": (volume(emptyDir={"medium": "Cloud"}), "spec.volumes[0].emptyDir.medium"),
    "an unknown type": (volume(hostPath={"path": "/", "type": "Any"}), "spec.volumes[0].hostPath.type"),
    "a relative host path": (volume(hostPath={"path": "etc"}), "spec.volumes[0].hostPath.path"),
    "two mounts on one path": (
        {"containers": [container("app", volumeMounts=[{"name": "v", "mountPath": "/m"}] * 2)], **volume(emptyDir={})},
        "spec.containers[0].volumeMounts[1].mountPath",
    ),
    "a mode with more bits": (
        volume(configMap={"name": "c", "defaultMode": 0o4755}),
        "spec.volumes[0].configMap.defaultMode",
    ),
    "a file of the layout's own": (volume(**item("..data")), "spec.volumes[0].configMap.items[0].path"),
    "a seccomp profile elsewhere": (
        {"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "/etc/passwd"}}},
        "spec.securityContext.seccompProfile.localhostProfile",
    ),
    "a hostname of two lines": ({"hostname": "a\nb"}, "spec.hostname"),
    "an alias of two lines": (
        {"hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a\n6.6.6.6 b"]}]},
        "spec.hostAliases[0].hostnames",
    ),
    "a variable without a name": (
        {"containers": [container("app", env=[{"name": "A=B", "value": ""}])]},
        "spec.containers[0].env[0].name",
    ),
    **{
        f"the sub path {path!r}": (
            {"containers": [mounting(subPath=path)], **volume(emptyDir={})},
            "spec.containers[0].volumeMounts[0].subPath",
        )
        for path in TRAVERSALS
    },
    **{f"the file {path!r}": (volume(**item(path)), "spec.volumes[0].configMap.items[0].path") for path in TRAVERSALS},
    **{
        f"the host path /{path!r}": (volume(hostPath={"path": f"/{path}"}), "spec.volumes[0].hostPath.path")
        for path in TRAVERSALS
        if path != "/etc/passwd"
    },
}


@pytest.mark.parametrize(("fields", "field"), REFUSED.values(), ids=REFUSED)
def test_a_run_refuses(fields: dict[str, Any], field: str) -> None:
    spec = {"containers": [container("app")]} | {k: v for k, v in fields.items() if k != "metadata"}
    raw = {"metadata": fields.get("metadata", {"name": "p"}), "spec": spec}
    found = [finding.path for finding in pod_findings(decode_pod(raw))]
    assert [path for path in found if path.startswith(field)] != [], found


# --- what a node makes of it, whoever let it pass -----------------------------------------------------------------


@pytest.mark.parametrize("path", TRAVERSALS[:-1])
def test_no_file_of_a_volume_is_outside_of_it(path: str) -> None:
    plan = planned(pod(container("app"), **volume(**item(path))))
    assert (plan.volumes, len(plan.failures)) == ((), 1)
    assert "invalid path" in plan.failures[0]


@pytest.mark.parametrize(
    ("paths", "complaint"),
    [
        (["a", "a/b"], "must not be below the file a: a/b"),
        (["a/b/c/d", "./a/b"], "must not be below the file a/b: a/b/c/d"),
        (["."], "must be that of a file: ."),
    ],
)
def test_no_file_is_a_directory(paths: list[str], complaint: str) -> None:
    """The API server lets it pass."""
    items = [{"key": "k", "path": path} for path in paths]
    plan = planned(pod(container("app"), **volume(configMap={"name": "c", "items": items})))
    assert plan.failures == (f'MountVolume.SetUp failed for volume "v" : invalid path: {complaint}',)


@pytest.mark.parametrize("key", ["..", "../x", "/etc/passwd", "a/../../b", "..data"])
def test_no_key_of_an_object_leads_out_of_a_volume(key: str) -> None:
    plan = planned(pod(container("app"), **volume(configMap={"name": "c"})), {key: "x"})
    assert (plan.volumes, len(plan.failures)) == ((), 1)


@pytest.mark.parametrize("path", ["/../etc", "/tmp/../../etc"])
def test_no_host_path_is_not_what_it_says(path: str) -> None:
    plan = planned(pod(container("app"), **volume(hostPath={"path": path})))
    assert plan.failures == (
        f"MountVolume.SetUp failed for volume \"v\" : invalid HostPath `{path}`: must not contain '..'",
    )


@pytest.mark.parametrize("path", [path for path in TRAVERSALS if path != "a\0b"])
def test_no_sub_path_leaves_its_volume(path: str) -> None:
    given = pod(mounting(subPathExpr="$(P)"), **volume(emptyDir={}))
    with pytest.raises(Fault, match="SubPath"):
        mounted(given, P=path)


@pytest.mark.parametrize("source", [{"cloud": {}}, {"nfs": {"server": "x", "path": "/"}}, {"flexVolume": {}}])
def test_a_volume_of_an_unknown_kind_is_no_empty_one(source: dict[str, Any]) -> None:
    plan = planned(pod(container("app"), **volume(**source)))
    assert plan.failures == ('MountVolume.SetUp failed for volume "v" : no volume plugin matched',)


def test_whatever_a_pod_mounts_is_in_its_own_directory() -> None:
    sources: list[dict[str, Any]] = [{"emptyDir": {}}, {"configMap": {"name": "c"}}, {"downwardAPI": {}}]
    volumes = [{"name": f"v{number}", **source} for number, source in enumerate(sources)]
    targets = ["/", "/../../etc", "/proc/../etc", "//x//"]
    mounts = [{"name": f"v{n}", "mountPath": targets[n], "subPath": "a"} for n in range(len(volumes))]
    plan = mounted(pod(container("app", volumeMounts=mounts, terminationMessagePath="/../../msg"), volumes=volumes))
    assert {posixpath.commonpath([POD_DIR, mount.source]) for mount in plan.mounts} == {POD_DIR}
    assert [mount.target for mount in plan.mounts] == ["/", "/etc", "/etc", "/msg"]


def test_what_a_pod_says_of_itself_stays_on_its_line() -> None:
    raw = {"metadata": {"name": "p", "uid": "u", "annotations": {"a": 'x"\nb="y\x1b[31m\0'}}}
    told = [{"path": "told", "fieldRef": {"fieldPath": "metadata.annotations"}}]
    spec = {"containers": [container("app")], **volume(downwardAPI={"items": told})}
    (projection,) = planned(decode_pod(raw | {"spec": spec})).volumes
    assert isinstance(projection, Projection)
    assert projection.files[0].data == rb'a="x\"\nb=\"y\x1b[31m\x00"'


def test_a_config_map_as_large_as_can_be() -> None:
    data = {f"key-{number}": "x" * 20 for number in range(30_000)}
    (projection,) = planned(pod(container("app"), **volume(configMap={"name": "c"})), data).volumes
    assert isinstance(projection, Projection)
    assert len(projection.files) == len(data)


# --- what grows ---------------------------------------------------------------------------------------------------


def env(*variables: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables]


def resolved(variables: list[dict[str, str]]) -> dict[str, str]:
    given = pod(container("app", env=variables))
    return dict(resolve_env(given, given.spec.containers[0], {}, WHERE))


def test_thousands_of_variables() -> None:
    chain = resolved(env(("V0", "x"), *((f"V{n}", f"$(V{n - 1})") for n in range(1, 5000))))
    assert (len(chain), chain["V4999"]) == (5000, "x")


def test_variables_made_of_variables_have_an_end() -> None:
    doubling = env(("V0", "x" * 100), *((f"V{n}", f"$(V{n - 1})$(V{n - 1})") for n in range(1, 60)))
    with pytest.raises(Fault, match=r"^an argument or variable grows over 128 KiB"):
        resolved(doubling)


def test_all_variables_together_have_an_end() -> None:
    many = env(("V", "x" * LONGEST), *((f"V{n}", "$(V)") for n in range(1000)))
    with pytest.raises(Fault, match=r"^the environment variables take more than 6 MiB"):
        resolved(many)


def test_a_command_line_has_an_end() -> None:
    with pytest.raises(Fault, match=r"^the command and its arguments take more than 6 MiB"):
        expand_all(["$(V)"] * (MOST // LONGEST + 1), {"V": "x" * LONGEST})


def test_a_probe_of_any_size_harms_nobody() -> None:
    probe = {"exec": {"command": ["$(V)"] * 1000}}
    given_pod = pod(container("app", env=env(("V", "x" * LONGEST)), readinessProbe=probe))
    (target,) = decide(given(given_pod, *running(given_pod, "app"))).probes
    assert target.probe.exec is not None
    assert target.probe.exec.command == ("$(V)",) * 1000


@pytest.mark.parametrize("seconds", [2**31, 2**62])
def test_a_grace_that_no_calendar_has_room_for(seconds: int) -> None:
    over = pod(container("app"), container("sidecar", env=[MARK]), terminationGracePeriodSeconds=seconds)
    ending = decide(given(over, exited(over, "app"), *running(over, "sidecar"))).record.ending
    assert ending is not None
    assert ending.deadline > at(10**9)
    probe = {"exec": {"command": ["false"]}, "terminationGracePeriodSeconds": seconds}
    (role,) = classify(pod(container("app", livenessProbe=probe))).regulars
    assert stop_grace(role, "liveness", timedelta(seconds=30)) > timedelta(seconds=10**9)


@pytest.mark.parametrize("hostname", ["a" * 300, "a.b" * 100])
def test_names_are_cut_to_what_a_host_can_have(hostname: str) -> None:
    given = pod(container("app"), hostname=hostname)
    lines = hosts_file(given, ("10.0.0.7",), cluster_domain="cluster.local", node_hosts="").splitlines()
    assert max(len(line) for line in lines) < 100
