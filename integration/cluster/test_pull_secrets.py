"""Images of a private registry: the Secrets of the pod and of its ServiceAccount, wrong ones, and none; the login of a
node; and what becomes of them when the disk is full.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import pytest

from integration.docker.registries import PASSWORD, USER, Registry, serving
from vkprovider.engine.endpoint import find_endpoint

from .clients import Cluster
from .identities import Access
from .nodes import IMAGE, NodeProcess, on
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.identity]

JSON, CFG = "dockerconfigjson", "dockercfg"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    client: docker.APIClient = find_endpoint().client("auto")
    with serving(tmp_path_factory.mktemp("registry"), private=True) as port:
        registry = Registry(client, port, private=True)
        yield registry
        registry.tidy()
    client.close()


@pytest.fixture
def secret_image(registry: Registry) -> str:
    """An image that only the registry has."""
    name = registry.name()
    registry.publish(name, 1)
    registry.forget(name)
    return name


class Given:
    """A namespace and what tests put into it."""

    def __init__(self, cluster: Cluster, namespace: str, node: NodeProcess, registry: Registry) -> None:
        self._cluster = cluster
        self._there = f"--namespace={namespace}"
        self._node = node
        self._host = registry.host

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return self._cluster.kubectl(*arguments, self._there, stdin=stdin)

    def secret(self, name: str, password: str = PASSWORD, kind: str = JSON) -> None:
        """Create a Secret, or replace it; another registry comes first in it."""
        login = b64encode(f"{USER}:{password}".encode()).decode()
        entries = {"registry.example.com": {"username": "x", "password": "y"}, self._host: {"auth": login}}
        content = json.dumps({"auths": entries} if kind == JSON else entries)
        raw = {"type": f"kubernetes.io/{kind}", "stringData": {f".{kind}": content}, "metadata": {"name": name}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Secret"} | raw))

    def pod(self, image: str, *secrets: str) -> None:
        app = {"name": "app", "image": image, "command": ["sh", "-c", "exit $((VERSION - 1))"]}
        spec = on(self._node.name, app, imagePullSecrets=[{"name": name} for name in secrets])
        raw = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
        self.kubectl("create", "-f", "-", stdin=json.dumps(raw))

    def until_succeeded(self, seconds: int = 20) -> None:
        self.kubectl("wait", "pod/web", "--for=jsonpath={.status.phase}=Succeeded", f"--timeout={seconds}s")

    def until_said(self, reason: str, *parts: str) -> None:
        def said() -> bool:
            events: list[dict[str, Any]] = self._cluster.get("events", self._there)["items"]
            return any(e["reason"] == reason and all(part in e["message"] for part in parts) for e in events)

        eventually(said)


@pytest.fixture
def given(cluster: Cluster, namespace: str, node: NodeProcess, registry: Registry) -> Iterator[Given]:
    given = Given(cluster, namespace, node, registry)
    yield given
    given.kubectl("delete", "pods", "--all", "--timeout=30s")


@pytest.mark.parametrize("kind", [JSON, CFG])
def test_the_secrets_of_a_pod(given: Given, secret_image: str, kind: str) -> None:
    given.secret("login", kind=kind)
    given.pod(secret_image, "login")
    given.until_succeeded()


def test_the_secrets_of_its_service_account(given: Given, secret_image: str) -> None:
    given.secret("login")
    patch = json.dumps({"imagePullSecrets": [{"name": "login"}]})
    given.kubectl("patch", "serviceaccount", "default", "--patch", patch)
    given.pod(secret_image)
    given.until_succeeded()


def test_the_next_one_is_tried_where_one_is_wrong(given: Given, secret_image: str) -> None:
    given.secret("wrong", password="wrong")
    given.secret("login")
    given.pod(secret_image, "wrong", "login")
    given.until_succeeded()


def test_a_secret_that_is_put_right_is_used(given: Given, secret_image: str) -> None:
    given.secret("login", password="wrong")
    given.pod(secret_image, "login")
    given.until_said("Failed", f'Failed to pull image "{secret_image}"', "unauthorized")
    given.secret("login")
    given.until_succeeded(40)


def test_a_secret_that_is_missing_is_named(given: Given, secret_image: str) -> None:
    given.pod(secret_image, "nowhere")
    given.until_said("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (nowhere);")
    given.until_said("Failed", f'Failed to pull image "{secret_image}"', "no basic auth credentials")
    given.secret("nowhere")
    given.until_succeeded(40)


def test_a_node_has_a_login_of_its_own_and_removes_what_it_has_pulled_when_the_disk_is_full(
    cluster: Cluster, namespace: str, access: Access, registry: Registry, secret_image: str, tmp_path: Path
) -> None:
    login = {"auth": b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: login}}))
    registry.tidy()  # else the engine has the image already, by the names that other tests have given it
    name = f"node-{uuid4().hex[:8]}"
    with NodeProcess(cluster, name, tmp_path, access, "--registry-config", str(tmp_path / "config.json")) as node:
        given = Given(cluster, namespace, node, registry)
        given.pod(secret_image)
        given.until_succeeded()
        given.kubectl("delete", "pods", "--all", "--timeout=30s")
    assert registry.has(secret_image)
    low = ["--image-gc-high-threshold=1", "--image-gc-low-threshold=0", "--minimum-image-ttl-duration=0s"]
    with NodeProcess(cluster, name, tmp_path, access, *low):
        eventually(lambda: not registry.has(secret_image), 30)
        eventually(lambda: "FreeDiskSpaceFailed" in reasons(cluster, name), 30)
    assert registry.has(IMAGE)  # the node has not pulled that


def reasons(cluster: Cluster, node: str) -> set[str]:
    """Of the events about a node."""
    events = cluster.get("events", "--namespace=default")["items"]
    return {event["reason"] for event in events if event["involvedObject"]["name"] == node}
