"""Volumes on a real control plane: tokens that it accepts, and files that follow their objects and the pod."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .clients import Cluster
from .nodes import NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

VIRTUAL_NODE = "serverless.alibabacloud.com/virtual-node"
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LIVE_SECONDS = 2.0  # from the answer to a change until a container sees it
IDLE = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


class Space:
    """A namespace, and the node that its pods run on. ``read`` looks at volumes where containers have them from."""

    def __init__(self, cluster: Cluster, namespace: str, node: NodeProcess) -> None:
        self.cluster = cluster
        self.node = node
        self._there = f"--namespace={namespace}"

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self.cluster.kubectl(*arguments, self._there, stdin=stdin)

    def create(self, kind: str, name: str, **body: Any) -> None:
        raw = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}} | body
        self.kubectl("create", "-f", "-", stdin=json.dumps(raw))

    def pod(self, name: str, *containers: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> None:
        metadata = {"name": name, "labels": labels or {}}
        self.create("Pod", name, metadata=metadata, spec=on(self.node.name, *containers, **spec))

    def claim(self, name: str, **source: Any) -> str:
        """A claim, bound to a volume of its own; the volume's name."""
        volume = f"{name}-{uuid4().hex[:8]}"
        common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
        wanted = {"resources": {"requests": {"storage": "1Mi"}}, "volumeName": volume}
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [self.node.name]}]}
        here = {"capacity": {"storage": "1Mi"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}
        self.create("PersistentVolume", volume, spec=common | here | source)
        self.create("PersistentVolumeClaim", name, spec=common | wanted)
        self.kubectl("wait", f"pvc/{name}", "--for=jsonpath={.status.phase}=Bound", "--timeout=30s")
        return volume

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("pod", name, self._there)
        return found

    def until_ready(self, name: str) -> None:
        self.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=30s")

    def volume(self, pod: str, plugin: str, name: str) -> Path:
        uid = self.get(pod)["metadata"]["uid"]
        (found,) = self.node.folder.glob(f"nodes/*/pods/{uid}/volumes/kubernetes.io~{plugin}/{name}")
        return found

    def events(self, pod: str, reason: str) -> list[str]:
        listed = self.cluster.get("events", self._there)["items"]
        return [e["message"] for e in listed if e["involvedObject"]["name"] == pod and e["reason"] == reason]


@pytest.fixture
def space(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Space]:
    """A namespace whose pods leave nothing in Docker."""
    space = Space(cluster, namespace, node)
    yield space
    space.kubectl("delete", "pods", "--all", "--timeout=30s")


def soon(holds: Callable[[], object]) -> None:
    """It must hold within what users are promised, the machine's own slowness aside."""
    begun = time.monotonic()
    eventually(holds, LIVE_SECONDS)
    assert time.monotonic() - begun < LIVE_SECONDS


def text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_the_token_of_a_pod_is_one_that_the_api_server_accepts(space: Space) -> None:
    told = f"cat {ACCOUNT}/namespace; echo; ls -l {ACCOUNT}/..data/token; cat {ACCOUNT}/ca.crt >&2; {IDLE}"
    space.pod("web", shell("app", told))
    space.until_ready("web")
    pod = space.get("web")
    (volume,) = pod["spec"]["volumes"]
    files = space.volume("web", "projected", volume["name"])
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": text(files / "token")}}
    answer = space.kubectl("create", "-f", "-", "--output=json", stdin=json.dumps(review))
    status = json.loads(answer)["status"]
    assert status["authenticated"] is True, status
    namespace = pod["metadata"]["namespace"]
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:default"
    extra = status["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    assert (text(files / "namespace"), text(files / "ca.crt")) == (namespace, space.cluster.ca.decode())
    claims = text(files / "token").split(".")[1]
    lifetime = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert lifetime["exp"] - lifetime["iat"] >= 3607


def test_only_the_user_of_the_containers_reads_a_token(space: Space) -> None:
    app = shell("app", f"cat {ACCOUNT}/token >/dev/null && stat -Lc '%a %u' {ACCOUNT}/token >/dev/termination-log")
    space.pod("web", app, securityContext={"runAsUser": 1234})
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    (status,) = space.get("web")["status"]["containerStatuses"]
    assert status["state"]["terminated"]["message"].strip() == "600 1234"


def test_objects_show_their_changes_within_two_seconds(space: Space) -> None:
    space.create("ConfigMap", "settings", data={"level": "1\n"})
    space.create("Secret", "keys", stringData={"key": "1\n"})
    items = [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}}]
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "secret", "secret": {"secretName": "keys"}},
        {"name": "both", "projected": {"sources": items}},
        {"name": "later", "configMap": {"name": "later", "optional": True}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in volumes]
    mounts.append({"name": "config", "mountPath": "/pinned", "subPath": "level"})
    echo = "echo $(cat /config/level /secret/key /both/level /both/key /later/level /pinned 2>/dev/null)"
    app = shell("app", f"while :; do {echo} >/seen/new; mv /seen/new /seen/now; sleep 0.1; done")
    mounts.append({"name": "seen", "mountPath": "/seen"})
    volumes.append({"name": "seen", "emptyDir": {}})
    space.pod("web", app | {"volumeMounts": mounts}, volumes=volumes)
    space.until_ready("web")
    seen = space.volume("web", "empty-dir", "seen") / "now"
    eventually(lambda: text(seen) == "1 1 1 1 1\n")
    space.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"level": "2\\n"}}')
    soon(lambda: text(seen) == "2 1 2 1 1\n")
    space.kubectl("patch", "secret", "keys", "--patch", '{"stringData": {"key": "2\\n"}}')
    soon(lambda: text(seen) == "2 2 2 2 1\n")
    space.create("ConfigMap", "later", data={"level": "7\n"})
    soon(lambda: text(seen) == "2 2 2 2 7 1\n")
    space.kubectl("delete", "configmap", "later")
    soon(lambda: text(seen) == "2 2 2 2 1\n")


def test_labels_and_annotations_show_their_changes_within_two_seconds(space: Space) -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "app", "resource": "limits.cpu", "divisor": "1m"}},
    ]
    volume = {"name": "me", "downwardAPI": {"items": items}}
    app = shell("app", IDLE, volumeMounts=[{"name": "me", "mountPath": "/me"}])
    space.pod("web", app, labels={"a": "1", VIRTUAL_NODE: "true"}, volumes=[volume])  # as the node would label it
    space.until_ready("web")
    me = space.volume("web", "downward-api", "me")
    allocatable = space.cluster.get("node", space.node.name)["status"]["allocatable"]["cpu"]
    assert (text(me / "labels"), text(me / "note")) == (f'a="1"\n{VIRTUAL_NODE}="true"', "")
    assert int(text(me / "cpu")) == (int(allocatable[:-1]) if allocatable.endswith("m") else int(allocatable) * 1000)
    space.kubectl("label", "pod", "web", "a=2", "b=x", "--overwrite")
    soon(lambda: text(me / "labels") == f'a="2"\nb="x"\n{VIRTUAL_NODE}="true"')
    space.kubectl("annotate", "pod", "web", "note=hello")
    soon(lambda: text(me / "note") == "hello")


def test_a_pod_starts_when_what_it_needs_appears(space: Space) -> None:
    volume = {"name": "config", "configMap": {"name": "settings"}}
    mount = {"name": "config", "mountPath": "/config"}
    variable = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}
    app = shell("app", "test $(cat /config/level) = $LEVEL", volumeMounts=[mount], env=[variable])
    space.pod("web", app, volumes=[volume])
    complaint = 'MountVolume.SetUp failed for volume "config" : configmap "settings" not found'
    eventually(lambda: complaint in space.events("web", "FailedMount"))
    space.create("ConfigMap", "settings", data={"level": "1"})
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")


def test_a_container_that_is_restarted_has_the_newest_values(space: Space) -> None:
    space.create("ConfigMap", "settings", data={"level": "1"})
    variable = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}
    until_it_differs = "while test $(cat /config/level) = $LEVEL; do sleep 0.1; done; exit 1"
    app = shell("app", until_it_differs, env=[variable], volumeMounts=[{"name": "config", "mountPath": "/config"}])
    volume = {"name": "config", "configMap": {"name": "settings"}}
    space.pod("web", app, restartPolicy="OnFailure", volumes=[volume])
    space.until_ready("web")
    space.kubectl("patch", "configmap", "settings", "--patch", '{"data": {"level": "2"}}')

    def runs_again() -> bool:
        (status,) = space.get("web")["status"]["containerStatuses"]
        return bool(status["restartCount"] == 1 and "running" in status["state"])

    eventually(runs_again)


def test_a_projection_that_lacks_an_object_waits_and_says_so(space: Space) -> None:
    source = {"serviceAccountToken": {"path": "token"}}
    missing = {"secret": {"name": "nowhere"}}
    volume = {"name": "mine", "projected": {"sources": [source, missing]}}
    space.pod("web", shell("app", "true"), volumes=[volume])
    complaint = 'MountVolume.SetUp failed for volume "mine" : secret "nowhere" not found'
    eventually(lambda: complaint in space.events("web", "FailedMount"))
    assert space.get("web")["status"]["phase"] == "Pending"
    space.kubectl("delete", "pod", "web", "--timeout=20s")


def test_a_volume_below_one_that_is_read_only(space: Space) -> None:
    space.create("ConfigMap", "settings", data={"level": "1"})
    volumes = [{"name": "config", "configMap": {"name": "settings"}}, {"name": "work", "emptyDir": {}}]
    mounts = [{"name": "config", "mountPath": "/config"}, {"name": "work", "mountPath": "/config/work"}]
    script = "echo $(cat /config/level) >/config/work/seen; ! touch /config/x"
    space.pod("web", shell("app", script, volumeMounts=mounts), volumes=volumes)
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=20s")
    assert text(space.volume("web", "empty-dir", "work") / "seen") == "1\n"


@pytest.mark.parametrize("kind", ["hostPath", "local"])
def test_a_claim_bound_to_a_directory_of_this_machine(space: Space, tmp_path: Path, kind: str) -> None:
    (tmp_path / "data").mkdir()
    name = space.claim("data", **{kind: {"path": str(tmp_path / "data")}})
    try:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        mounts = [
            {"name": "data", "mountPath": "/data"},
            {"name": "data", "mountPath": "/part", "subPath": "a/b"},
        ]
        space.pod("web", shell("app", "echo 1 >/data/all; echo 2 >/part/some", volumeMounts=mounts), volumes=[volume])
        space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
        space.kubectl("delete", "pod", "web", "--timeout=20s")
        assert (text(tmp_path / "data/all"), text(tmp_path / "data/a/b/some")) == ("1\n", "2\n")
    finally:
        space.cluster.kubectl("delete", "persistentvolume", name, "--wait=false")


def test_an_ephemeral_volume_is_a_claim_of_its_pod(space: Space, tmp_path: Path) -> None:
    """The cluster's controller makes the claim, here one for a volume that waits for it; a foreign one is not taken."""
    wanted = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": f"own-{uuid4().hex[:8]}"}
    common = wanted | {"resources": {"requests": {"storage": "1Mi"}}}
    space.create(
        "PersistentVolume",
        wanted["volumeName"],
        spec={
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Mi"},
            "hostPath": {"path": str(tmp_path)},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    )
    try:
        volume = {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": common}}}
        app = shell("app", "echo 1 >/data/all", volumeMounts=[{"name": "data", "mountPath": "/data"}])
        space.pod("web", app, volumes=[volume])
        space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        assert text(tmp_path / "all") == "1\n"
    finally:
        space.cluster.kubectl("delete", "persistentvolume", wanted["volumeName"], "--wait=false")
    space.create("PersistentVolumeClaim", "other-data", spec=common | {"volumeName": "nothing"})
    space.pod("other", app, volumes=[volume], nodeName=space.node.name)
    whose = f"PVC {space.get('other')['metadata']['namespace']}/other-data was not created for pod"
    eventually(lambda: any(whose in message for message in space.events("other", "FailedMount")))


ELSEWHERE = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["elsewhere"]}]}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            {"csi": {"driver": "example.com", "volumeHandle": "1"}},
            'the volume "{}" is of a kind (csi) that needs a driver: hostPath and local need none',
        ),
        (
            {"local": {"path": "/"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [ELSEWHERE]}}},
            'NodeAffinity check failed for volume "{}": no matching NodeSelectorTerms',
        ),
    ],
    ids=["needs a driver", "of another node"],
)
def test_a_claim_that_cannot_be_had_here_is_refused_by_name(space: Space, source: dict[str, Any], why: str) -> None:
    """The pods name their node: no scheduler has looked."""
    name = space.claim("data", **source)
    try:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        space.pod("web", shell("app", "true"), volumes=[volume], nodeName=space.node.name)
        complaint = f'MountVolume.SetUp failed for volume "data" : {why.format(name)}'
        eventually(lambda: complaint in space.events("web", "FailedMount"))
        space.kubectl("delete", "pod", "web", "--timeout=20s")
    finally:
        space.cluster.kubectl("delete", "persistentvolume", name, "--wait=false")


def test_a_pod_that_takes_more_of_the_disk_than_it_said_is_evicted(space: Space) -> None:
    volume = {"name": "work", "emptyDir": {"sizeLimit": "1Mi"}}
    app = shell("app", f"head -c 2000000 /dev/urandom >/work/large; {IDLE}")
    space.pod("web", app | {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}, volumes=[volume])
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s")
    status = space.get("web")["status"]
    message = 'Usage of EmptyDir volume "work" exceeds the limit "1Mi". '
    assert (status["reason"], status["message"]) == ("Evicted", message)
    assert message in space.events("web", "Evicted")


def test_a_variable_in_a_sub_path(space: Space) -> None:
    name = {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    mount = {"name": "logs", "mountPath": "/logs", "subPathExpr": "of-$(NAME)"}
    app = shell("app", "echo 1 >/logs/file", env=[name], volumeMounts=[mount])
    space.pod("web", app, volumes=[{"name": "logs", "emptyDir": {}}])
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    assert text(space.volume("web", "empty-dir", "logs") / "of-web" / "file") == "1\n"


def test_bytes_that_are_no_text(space: Space) -> None:
    space.create("ConfigMap", "settings", binaryData={"raw": base64.b64encode(b"\xff\0\xfe").decode()}, data={"a": "b"})
    app = shell("app", "cat /config/raw /config/a >/dev/null; env | grep -c -e ^RAW= -e ^raw= -e ^a=b >/told/count")
    mounts = [{"name": "config", "mountPath": "/config"}, {"name": "told", "mountPath": "/told"}]
    volumes = [{"name": "config", "configMap": {"name": "settings"}}, {"name": "told", "emptyDir": {}}]
    fields = {"volumeMounts": mounts, "envFrom": [{"configMapRef": {"name": "settings"}}]}
    space.pod("web", app | fields, volumes=volumes)
    space.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    assert (space.volume("web", "configmap", "config") / "raw").read_bytes() == b"\xff\0\xfe"
    assert text(space.volume("web", "empty-dir", "told") / "count") == "1\n"  # variables are made of text alone


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_a_group_is_given_what_is_not_its_own_yet(space: Space, tmp_path: Path) -> None:
    """With ``OnRootMismatch`` one look at the directory itself decides; without it, all is given each time."""
    data, inner = tmp_path / "data", tmp_path / "data" / "inner"
    data.mkdir()
    inner.touch()
    os.chown(data, -1, 2000)
    data.chmod(0o2770)
    name = space.claim("data", local={"path": str(data)})
    try:
        volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
        app = shell("app", "id -G; touch /data/new", volumeMounts=[{"name": "data", "mountPath": "/data"}])
        groups = {}
        for policy in ("OnRootMismatch", "Always"):
            context = {"runAsUser": 1000, "fsGroup": 2000, "fsGroupChangePolicy": policy}
            space.pod(policy.lower(), app, volumes=[volume], securityContext=context)
            done = (f"pod/{policy.lower()}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
            space.kubectl("wait", *done)
            groups[policy] = inner.stat().st_gid
        assert groups == {"OnRootMismatch": os.getegid(), "Always": 2000}
        assert (data / "new").stat().st_gid == 2000
    finally:
        space.kubectl("delete", "pods", "--all", "--timeout=20s")
        space.cluster.kubectl("delete", "persistentvolume", name, "--wait=false")
