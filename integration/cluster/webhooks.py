"""``vkprovider webhook`` as a process of its own, outside of the cluster whose pods it is asked about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from .clients import Cluster, write_kubeconfig_of
from .identities import DEPLOY, TOKEN_SECONDS
from .probes import answers, free_ports
from .processes import Process
from .showing import Json
from .waiting import eventually

CONFIGURATION = "acs-virtual-node"
SECRET = "vkprovider-webhook-authority"
NAMESPACE = "vkprovider"


class WebhookProcess(Process):
    """A webhook that goes by ``kubeconfig`` and is reached at loopback, or by the Service ``service``. A context
    manager that stops it.
    """

    def __init__(self, cluster: Cluster, folder: Path, kubeconfig: Path, *flags: str, service: str = "") -> None:
        (self.port,) = free_ports(1)
        self._cluster = cluster
        reached = ["--service", service] if service else ["--address", "127.0.0.1"]
        at = ["--kubeconfig", kubeconfig, *reached, "--port", str(self.port)]
        super().__init__(["webhook", *at, *flags], folder / f"webhook-{self.port}.log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, seconds: float = 20) -> None:
        """Start the process and wait until it is registered."""
        self.launch()
        eventually(self.is_ready, seconds)

    def is_ready(self) -> bool:
        assert self.is_alive(), self.log
        return answers(f"https://127.0.0.1:{self.port}/readyz")

    def is_asked_about(self) -> bool:
        """Whether the API server was told to ask this one."""
        return f":{self.port}/" in json.dumps(configuration(self._cluster).get("webhooks", []))


@contextmanager
def webhook_account(cluster: Cluster, folder: Path) -> Iterator[Path]:
    """The kubeconfig of the ServiceAccount with its roles, as deploy/ has them; nobody is asked any more at the end."""
    cluster.kubectl("apply", f"--filename={DEPLOY / 'rbac-webhook.yaml'}")
    try:
        create = ["create", "token", "vkprovider-webhook", f"--namespace={NAMESPACE}", f"--duration={TOKEN_SECONDS}s"]
        token = cluster.kubectl(*create).strip()
        yield write_kubeconfig_of(folder / "webhook.conf", cluster.url, cluster.ca, {"token": token})
    finally:
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
            cluster.kubectl("delete", kind, CONFIGURATION)
        cluster.kubectl("delete", "secret", SECRET, f"--namespace={NAMESPACE}")


@contextmanager
def sidecar_sets(cluster: Cluster, *manifests: Json) -> Iterator[None]:
    """SidecarSets that are there while the block runs."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    cluster.kubectl("apply", "--filename=-", stdin=listed)
    try:
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=listed)


@contextmanager
def of_openkruise(cluster: Cluster) -> Iterator[Callable[..., None]]:
    """The definition of SidecarSets as that of OpenKruise 1.9 is, which serves the versions that are given, and keeps
    the last one. In the end it is ours again, and no set is there.
    """
    file = DEPLOY / "sidecarset" / "crd-sidecarsets.yaml"
    definition = yaml.safe_load(file.read_text())
    name, group = definition["metadata"]["name"], definition["spec"]["group"]
    (ours,) = definition["spec"]["versions"]

    def serve(*served: str) -> None:
        versions = [
            ours | {"name": each, "served": each in served, "storage": each == served[-1]}
            for each in ("v1alpha1", "v1beta1")
        ]
        made = definition | {"spec": definition["spec"] | {"versions": versions}}
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(made))
        eventually(lambda: served_versions() == set(served))

    def served_versions() -> set[str]:
        found = json.loads(cluster.kubectl("get", "--raw=/apis"))["groups"]
        return {each["version"] for one in found if one["name"] == group for each in one["versions"]}

    try:
        yield serve
    finally:
        cluster.kubectl("delete", "customresourcedefinition", name)
        cluster.kubectl("apply", f"--filename={file}")
        cluster.kubectl("wait", f"customresourcedefinition/{name}", "--for=condition=Established", "--timeout=20s")


def sidecar_set(name: str, *containers: Json, **spec: Any) -> Json:
    """A SidecarSet for the pods of virtual nodes."""
    on_virtual_nodes = {"matchLabels": {"serverless.alibabacloud.com/virtual-node": "true"}}
    usual = {"selector": on_virtual_nodes, "updateStrategy": {"type": "NotUpdate"}, "containers": list(containers)}
    return {
        "apiVersion": "apps.kruise.io/v1alpha1",
        "kind": "SidecarSet",
        "metadata": {"name": name},
        "spec": usual | spec,
    }


def configuration(cluster: Cluster) -> Json:
    found = cluster.get("mutatingwebhookconfigurations")["items"]
    return next((each for each in found if each["metadata"]["name"] == CONFIGURATION), {})


def admitted(cluster: Cluster, namespace: str, *pods: Json) -> list[Json]:
    """The pods as they would be created. Raises KubectlError where one is refused."""
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(pods)})
    command = ["create", f"--namespace={namespace}", "--dry-run=server", "--output=json", "--filename=-"]
    text, found = cluster.kubectl(*command, stdin=listed), []
    while text := text.lstrip():  # one object after the other
        made, end = json.JSONDecoder().raw_decode(text)
        found.append(made)
        text = text[end:]
    return found


def names(pod: Json, group: str = "containers") -> list[str]:
    return [container["name"] for container in pod["spec"].get(group, ())]


def is_injected(cluster: Cluster, namespace: str, *containers: str) -> bool:
    """Whether a pod for virtual nodes gets these containers now, before its own: the watch takes its moment."""
    labels = {"alibabacloud.com/eci": "true"}
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    (made,) = admitted(cluster, namespace, probe)
    return names(made) == [*containers, "app"]
