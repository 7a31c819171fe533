"""ConfigMaps and Secrets of other namespaces, by ``namespace/name`` in a sidecar's volume: who gets them, and who does
not. The pods are created as a webhook would have left them.
"""

from __future__ import annotations

import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from vkprovider.node.clock import SystemClock
from vkprovider.sidecarset.injection import inject
from vkprovider.sidecarset.model import sidecar_set

from .clients import Cluster, KubectlError
from .controlplane import ControlPlane
from .home import Home, docker
from .identities import DEPLOY
from .nodes import IMAGE, ROOT, NodeProcess, on, shell
from .showing import Json, apply, container_status, pod
from .waiting import eventually
from .webhooks import of_openkruise

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

EXAMPLE = DEPLOY / "examples" / "sidecarset"
DEFINITIONS = DEPLOY / "sidecarset"
BINDINGS = "sidecarsetresourcebindings.sidecarset.alibabacloud.com"
VIRTUAL_NODE = {"serverless.alibabacloud.com/virtual-node": "true"}
BUSY = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
MOUNT = {"volumeMounts": [{"name": "config", "mountPath": "/etc/filebeat"}]}
SOON_SECONDS = 6.0  # the wait after that many failures is longer: nobody waits for it once it is granted


class Town:
    """Pods of a namespace that refer to ``other``, where the objects are. All else bears the ``name`` of the test's."""

    def __init__(self, home: Home, cluster: Cluster, other: str) -> None:
        self.home = home
        self.cluster = cluster
        self.other = other
        self.name = f"set-{uuid4().hex[:8]}"

    def volume(self, kind: str = "configMap", name: str = "config", **source: Any) -> Json:
        key = "secretName" if kind == "secret" else "name"
        return {"name": "config", kind: {key: f"{self.other}/{name}"} | source}

    def put(self, value: str, kind: str = "ConfigMap", name: str = "config") -> None:
        data = b64encode(value.encode()).decode() if kind == "Secret" else value
        raw = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": {"value": data}}
        apply(self.cluster, self.other, raw)

    def set(self, *volumes: Json) -> None:
        sidecar = {"name": "filebeat", "image": IMAGE} | MOUNT
        selector = {"matchLabels": VIRTUAL_NODE | {"set": self.name}}
        spec = {"selector": selector, "updateStrategy": {"type": "NotUpdate"}, "containers": [sidecar]}
        raw = {"apiVersion": "apps.kruise.io/v1alpha1", "kind": "SidecarSet", "metadata": {"name": self.name}}
        apply(self.cluster, self.other, raw | {"spec": spec | {"volumes": list(volumes or [self.volume()])}})

    def bind(self, name: str = "right", namespace: str = "", subject: str = "", **ref: str) -> None:
        """``ref`` is what is not usual about the object that it names."""
        refs = [{"kind": "ConfigMap", "name": "config"} | {key.rstrip("_"): value for key, value in ref.items()}]
        spec = {"subjects": [{"kind": "SidecarSet", "name": subject or self.name}], "resourceRefs": refs}
        raw = {"apiVersion": "sidecarset.alibabacloud.com/v1alpha1", "kind": "SidecarSetResourceBinding"}
        apply(self.cluster, namespace or self.other, raw | {"metadata": {"name": name}, "spec": spec})

    def unbind(self) -> None:
        self.cluster.kubectl("delete", BINDINGS, "right", f"--namespace={self.other}")

    def unset(self) -> None:
        self.cluster.kubectl("delete", "sidecarsets.apps.kruise.io", self.name, "--ignore-not-found")

    def pod(self, name: str, *more: Json, app: Json | None = None, labels: Json | None = None, **spec: Any) -> None:
        """One with a sidecar that mounts ``config``, and with an app that does not, if nothing else is said."""
        sidecar, rest = shell("filebeat", BUSY, **MOUNT), shell("app", BUSY, **(app or {}))
        usual = {"volumes": [self.volume(), *more]}
        meta = {"labels": VIRTUAL_NODE | {"set": self.name} if labels is None else labels}
        apply(
            self.cluster, self.home.namespace, pod(name, on(self.home.node.name, sidecar, rest, **usual | spec), **meta)
        )

    def read(self, name: str, file: str = "/etc/filebeat/value") -> str:
        return self.execute(name, "cat", file)

    def shows(self, name: str, value: str) -> None:
        eventually(lambda: self.read(name) == value, 40)

    def execute(self, name: str, *command: str) -> str:
        there = [f"--namespace={self.home.namespace}", "--container=filebeat"]
        return self.cluster.kubectl("exec", name, *there, "--", *command)

    def told(self, name: str, reason: str = "FailedMount") -> list[str]:
        return [message for why, message in self.home.events(name) if why == reason]

    def tries(self, name: str) -> int:
        """How often its volumes have failed."""
        mine = f"--field-selector=involvedObject.name={name},reason=FailedMount"
        return sum(e["count"] for e in self.cluster.get("events", f"--namespace={self.home.namespace}", mine)["items"])

    def waits(self, name: str) -> None:
        """It must be told why, and look as a pod does that waits for a volume."""
        eventually(lambda: self.told(name))
        status = self.home.status(name)
        assert status["phase"] == "Pending"
        waiting = [each["state"]["waiting"]["reason"] for each in status["containerStatuses"]]
        assert waiting == ["ContainerCreating"] * 2

    def runs(self, name: str, seconds: float = 20) -> None:
        self.home.until_phase("Running", name, seconds=seconds)

    def restarted(self, name: str, times: int) -> None:
        """Kill its sidecar and wait until it is back."""
        docker("kill", self.home.container(name, "filebeat"))

        def back() -> bool:
            status = container_status(self.home.status(name), "filebeat")
            return status["restartCount"] == times and "running" in status["state"]

        eventually(back)


@pytest.fixture(scope="module")
def kinds(cluster: Cluster) -> None:
    """SidecarSets and bindings are defined, by whomever."""
    for name in ("crd-sidecarsets", "crd-sidecarsetresourcebindings"):
        definition = DEFINITIONS / f"{name}.yaml"
        kind = yaml.safe_load(definition.read_text())["metadata"]["name"]
        if not cluster.kubectl("get", "customresourcedefinition", kind, "--ignore-not-found"):
            cluster.kubectl("apply", f"--filename={definition}")
        cluster.kubectl("wait", f"customresourcedefinition/{kind}", "--for=condition=Established", "--timeout=20s")


@pytest.fixture(scope="module")
def other(cluster: Cluster) -> Iterator[str]:
    """A namespace with objects that nodes may read: what bindings allow is for nodes to see to."""
    name = f"bound-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    with readable(cluster, name, "config"):
        yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def readable(cluster: Cluster, namespace: str, *names: str) -> Iterator[None]:
    """What deploy/ grants to nodes of their own: for objects of a namespace, while the block runs; and to read who may
    have what, from now on.
    """
    text = (DEFINITIONS / "rbac-bound-namespace.yaml").read_text()
    roles = text.replace("kube-system", namespace).replace("filebeat-config", ", ".join(names))
    cluster.kubectl("apply", "--filename=-", stdin=roles)
    yield
    cluster.kubectl("delete", "role,rolebinding", "vkprovider-bound", f"--namespace={namespace}")


@pytest.fixture
def town(cluster: Cluster, namespace: str, node: NodeProcess, kinds: None, other: str) -> Iterator[Town]:
    town = Town(Home(cluster, namespace, node), cluster, other)
    town.put("1")
    yield town
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--timeout=40s")
    town.unset()
    cluster.kubectl("delete", BINDINGS, "--all", f"--namespace={other}")
    cluster.kubectl("delete", "configmaps,secrets", "--all", f"--namespace={other}")


def test_the_example_shows_the_configuration_of_kube_system(cluster: Cluster, town: Town) -> None:
    """B7, B8, B12, B16: the manifests as they stand, and the pod that OpenKruise or the webhook makes of them."""
    subprocess.run([ROOT / "integration" / "setup" / "http-echo-image.sh"], check=True)
    names = ("filebeat-config", "sidecarset", "sidecarset-resourcebinding")
    files = [f"--filename={EXAMPLE / name}.yaml" for name in names]
    template = yaml.safe_load((EXAMPLE / "echo-server.yaml").read_text())["spec"]["template"]
    labels = template["metadata"]["labels"] | VIRTUAL_NODE
    given = pod("echo", template["spec"] | on(town.home.node.name) | {"containers": template["spec"]["containers"]})
    given["metadata"] |= {"namespace": town.home.namespace, "labels": labels}
    sidecars = sidecar_set(yaml.safe_load((EXAMPLE / "sidecarset.yaml").read_text()))
    with readable(cluster, "kube-system", "filebeat-config"):
        cluster.kubectl("apply", *files)
        try:
            apply(cluster, town.home.namespace, inject(given, [sidecars], SystemClock().now()))
            town.runs("echo", 40)
            text = yaml.safe_load((EXAMPLE / "filebeat-config.yaml").read_text())["data"]["filebeat.yml"]
            assert town.read("echo", "/etc/filebeat.yml") == text
            assert town.execute("echo", "stat", "-c", "%F", "/etc/filebeat.yml") == "regular file\n"
            with pytest.raises(KubectlError, match="Read-only file system"):
                town.execute("echo", "sh", "-c", "echo more >>/etc/filebeat.yml")
            show = ("logs", "echo", "--container=filebeat", f"--namespace={town.home.namespace}")
            assert cluster.kubectl(*show) == text.rpartition("\n")[0] + "\n"  # what may go on is not yet a line
            town.restarted("echo", 1)
            assert cluster.kubectl(*show, "--previous") == text
        finally:
            cluster.kubectl("delete", *files)


def test_one_binding_of_the_objects_namespace_must_name_both(town: Town) -> None:
    """B9, B10: and once there is one the pod starts, however long it has waited."""
    town.set()
    town.pod("web")
    town.waits("web")
    here = town.home.namespace
    town.bind("wrong-namespace", namespace=here)
    town.bind("wrong-subject", subject="another")
    town.bind("wrong-name", name_="another")
    town.bind("wrong-kind", kind="Secret")
    before = town.tries("web")
    eventually(lambda: town.tries("web") >= before + 2, 40)
    assert town.home.status("web")["phase"] == "Pending"
    town.bind()
    begun = time.monotonic()
    town.runs("web")
    assert time.monotonic() - begun < SOON_SECONDS
    assert town.read("web") == "1"


def test_nobody_learns_whether_an_object_is_there(town: Town) -> None:
    """The same words for one that is and for one that is not, and an optional one is no way round."""
    absent = {"volumes": [town.volume(name="nothing")]}
    town.pod("there")
    town.pod("absent", **absent)
    town.pod("optional", volumes=[town.volume(name="nothing", optional=True)])
    for name in ("there", "absent", "optional"):
        town.waits(name)
    (message,) = set(town.told("there"))
    assert message == (
        'MountVolume.SetUp failed for volume "config" : '
        f'configmap "{town.other}/config" is of another namespace, and not granted to this pod: create a '
        f"SidecarSetResourceBinding in namespace {town.other} whose subjects name a SidecarSet that matches the pod "
        "and has this volume and whose resourceRefs name the ConfigMap config; no container but that set's may mount it"
    )
    there = {message.replace(f"{town.other}/config", "X").replace("ConfigMap config", "X")}
    for name in ("absent", "optional"):
        told = {
            each.replace(f"{town.other}/nothing", "X").replace("ConfigMap nothing", "X") for each in town.told(name)
        }
        assert told == there


def test_who_else_does_not_get_it(town: Town) -> None:
    """An app that mounts the volume itself, a pod without the set's labels, and what is no reference."""
    town.set()
    town.bind()
    town.pod("thief", app=MOUNT)
    town.pod("unlabelled", labels=VIRTUAL_NODE)
    town.pod("malformed", volumes=[{"name": "config", "configMap": {"name": "a/b/c"}}])
    town.pod("right")
    town.runs("right")
    for name in ("thief", "unlabelled", "malformed"):
        town.waits(name)
    assert f'configmap "{town.other}/config" is of another namespace, and not granted' in town.told("thief")[0]
    wrong = 'MountVolume.SetUp failed for volume "config" : "a/b/c" is not of the form namespace/name'
    assert set(town.told("malformed")) == {wrong}


def test_a_secret_must_be_bound_as_one(town: Town) -> None:
    """B11."""
    town.put("secret", kind="Secret")
    town.set(town.volume("secret"))
    town.bind()
    town.pod("web", volumes=[town.volume("secret")])
    town.waits("web")
    town.bind(kind="Secret")
    town.runs("web")
    assert town.read("web") == "secret"


def test_it_is_only_read_and_followed_until_it_is_revoked(town: Town) -> None:
    """B13. What a pod has seen stays, and is there for containers that start again."""
    town.set()
    town.bind()
    town.pod("web", restartPolicy="Always")
    town.runs("web")
    with pytest.raises(KubectlError, match="Read-only file system"):
        town.execute("web", "sh", "-c", "echo more >/etc/filebeat/value")
    town.put("2")
    eventually(lambda: town.read("web") == "2")
    town.unbind()
    eventually(lambda: town.told("web", "VolumeNotRefreshed"))
    town.put("3")
    town.restarted("web", 1)
    assert town.read("web") == "2"
    town.bind()
    eventually(lambda: town.read("web") == "3")
    (message,) = town.told("web", "VolumeNotRefreshed")
    assert message.endswith("The files that are there stay, and are no longer refreshed")
    assert town.told("web") == []


def test_sidecars_outlive_their_set_and_the_nodes_process(town: Town) -> None:
    town.set()
    town.bind()
    town.pod("web", restartPolicy="Always")
    town.runs("web")
    town.unset()
    eventually(lambda: town.told("web", "VolumeNotRefreshed"))
    town.home.node.kill()
    town.put("2")
    town.home.node.start()
    town.restarted("web", 1)
    assert town.read("web") == "1"


def test_a_cluster_that_does_not_know_bindings_yet(cluster: Cluster, town: Town) -> None:
    town.set()
    cluster.kubectl("delete", "customresourcedefinition", BINDINGS)
    try:
        town.pod("web")
        town.waits("web")
        assert "This cluster has no sidecarsetresourcebindings yet" in town.told("web")[-1]
    finally:
        cluster.kubectl("apply", f"--filename={DEFINITIONS / 'crd-sidecarsetresourcebindings.yaml'}")
        cluster.kubectl("wait", f"customresourcedefinition/{BINDINGS}", "--for=condition=Established", "--timeout=20s")
    town.bind()
    town.runs("web", 30)


def test_a_cluster_with_the_definition_of_a_later_openkruise(cluster: Cluster, town: Town) -> None:
    """Which serves SidecarSets in two versions, or in the later one alone, and may come while pods run."""
    town.set()
    town.bind()
    town.pod("web")
    town.runs("web")
    with of_openkruise(cluster) as serve:
        for value, versions in (("2", ("v1alpha1", "v1beta1")), ("3", ("v1beta1",))):
            serve(*versions)
            town.pod(f"new-{value}")
            town.runs(f"new-{value}", 40)
            town.put(value)
            for name in ("web", f"new-{value}"):
                town.shows(name, value)
        town.home.node.kill()
        town.home.node.start()
        town.pod("last")
        town.runs("last", 40)
        town.unset()
        eventually(lambda: town.told("last", "VolumeNotRefreshed"), 40)


def test_a_node_of_its_own_needs_a_role_in_the_bound_namespace(
    cluster: Cluster, control_plane: ControlPlane, namespace: str, kinds: None, tmp_path: Path
) -> None:
    """The API server lets it read only what is in the namespaces of its pods."""
    if control_plane is not cluster:
        pytest.skip("nodes of their own need a control plane of the test run's")
    other, name = f"bound-{uuid4().hex[:8]}", f"node-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", other)
    cluster.kubectl("delete", "clusterrolebinding", "vkprovider-bindings", "--ignore-not-found")
    with NodeProcess(cluster, name, tmp_path, control_plane.node_identity) as node:
        town = Town(Home(cluster, namespace, node), cluster, other)
        town.put("1")
        town.set()
        town.bind()
        town.pod("web")
        try:
            eventually(lambda: [each for each in town.told("web") if "may not list sidecarsets" in each], 30)
            with readable(cluster, other, "another"):
                eventually(lambda: [each for each in town.told("web") if "rbac-bound-namespace.yaml" in each], 30)
            with readable(cluster, other, "config"):
                town.runs("web", 40)
        finally:
            cluster.kubectl("delete", "pod", "web", f"--namespace={namespace}", "--timeout=40s")
            town.unset()
    cluster.kubectl("delete", "namespace", other, "--wait=false")
