"""Registries on their bad days: behind a relay that refuses, dawdles and breaks off."""

from __future__ import annotations

import hashlib
import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from integration.docker.command import Command
from integration.docker.own_node import own_node
from integration.docker.pods import pod, shell
from integration.docker.records import Records
from integration.docker.registries import PASSWORD, USER, Registry, serving
from integration.docker.registry_relay import Relay, relaying

pytestmark = pytest.mark.docker
WAY_OUT = ["sh", "-c", "exit $VERSION"]


@pytest.fixture
def relay(registry: Registry) -> Iterator[Relay]:
    with relaying(registry) as relay:
        yield relay


def published(registry: Registry, relay: Relay, size: int = 0) -> str:
    """An image that the engine has not, by the name that the relay has it under; of so many bytes."""
    name = registry.name()
    if size:
        registry.publish_bytes(name, size)
    else:
        registry.publish(name, 5)
    registry.forget(name)
    registry.made.add(relay.name_of(name))
    return relay.name_of(name)


def error(code: str, message: str) -> str:
    return json.dumps({"errors": [{"code": code, "message": message}]})


# What a registry answers with, and what of it the engine says.
REFUSALS: dict[str, tuple[int, str, str]] = {
    "unauthorized": (401, error("UNAUTHORIZED", "authentication required"), "unauthorized"),
    "forbidden": (403, error("DENIED", "requested access to the resource is denied"), "denied"),
    "unknown": (404, error("MANIFEST_UNKNOWN", "manifest unknown"), "manifest unknown"),
    "limited": (
        429,
        error("TOOMANYREQUESTS", "You have reached your pull rate limit."),
        "toomanyrequests: You have reached your pull rate limit.",
    ),
    "broken": (500, "boom", "received unexpected HTTP status: 500 Internal Server Error"),
    "away": (503, "<html>come back later</html>", "received unexpected HTTP status: 503 Service Unavailable"),
}


def test_each_refusal_is_told_in_the_registrys_words(command: Command, registry: Registry, relay: Relay) -> None:
    images = {}
    for name, (status, content, _) in REFUSALS.items():
        images[name] = f"{relay.host}/test:{name}"
        relay.refuse(images[name], status, content)
    run = command.run_json(pod("refused", *({"name": name, "image": image} for name, image in images.items())))
    for name, (_, _, words) in REFUSALS.items():
        run.err.until_line(f"container/{name}", "  ErrImagePull ", words)
        run.err.until_line(
            f"container/{name}", "  ImagePullBackOff ", f'Back-off pulling image "{images[name]}"', words
        )
    run.interrupt()
    assert run.finish() == 130


async def test_a_registry_that_comes_to_itself_is_asked_again(
    records: Records, registry: Registry, relay: Relay, tmp_path: Path
) -> None:
    image = published(registry, relay)
    relay.refuse(image, *REFUSALS["limited"][:2], times=2)
    async with own_node(records, tmp_path, backoff_first=1) as node:
        node.run(pod("patient", {"name": "app", "image": image, "command": WAY_OUT}))
        status = await node.witness.until_phase("Failed")
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
        once = [
            f'Pulling: Pulling image "{image}"',
            f'Failed: Failed to pull image "{image}": {REFUSALS["limited"][2]}',
            "Failed: Error: ErrImagePull",
            f'BackOff: Back-off pulling image "{image}"',
            "Failed: Error: ImagePullBackOff",
        ]
        told = node.witness.messages("Pulling", "Failed", "BackOff", "Pulled")
        back_off = [line for line in told if line.startswith(("BackOff", "Failed: Error: ImagePullBackOff"))]
        assert [line for line in told[:-1] if line not in back_off] == [*once[:3], *once[:3], once[0]]
        assert set(back_off) == set(once[3:])
        assert told[-1].startswith(f'Pulled: Successfully pulled image "{image}" in ')


def test_a_slow_registry_keeps_nobody_else_from_starting(command: Command, registry: Registry, relay: Relay) -> None:
    image = published(registry, relay)
    relay.go_on.clear()
    slow = pod("slow", {"name": "app", "image": image, "command": WAY_OUT})
    run = command.run_json(slow, pod("quick", shell("other", "exit 0")))
    run.err.until_line("pod/quick", "Succeeded")
    assert relay.halfway.wait(10)
    relay.go_on.set()
    assert run.finish() == 5


def test_pods_that_want_the_same_image_share_its_pull(command: Command, registry: Registry, relay: Relay) -> None:
    image = published(registry, relay)
    relay.go_on.clear()
    app = {"name": "app", "image": image, "command": ["sh", "-c", "exit 0"]}
    run = command.run_json(*(pod(f"same-{number}", app) for number in range(4)))
    for number in range(4):
        run.err.until_line(f"pod/same-{number}", "Pulling")
    assert relay.halfway.wait(10)
    relay.go_on.set()
    assert run.finish() == 0
    blobs = [path for path in relay.paths if "/blobs/" in path]
    assert len(blobs) == len(set(blobs))


def test_a_layer_that_breaks_off_is_gone_on_with(command: Command, registry: Registry, relay: Relay) -> None:
    image = published(registry, relay)
    relay.broken = 1
    run = command.run_json(pod("broken", {"name": "app", "image": image, "command": WAY_OUT}))
    assert run.finish() == 5
    assert relay.broken == 0


def test_an_image_is_the_one_of_its_digest(command: Command, registry: Registry, client: docker.APIClient) -> None:
    name = registry.name()
    registry.publish(name, 5)
    (digest,) = client.inspect_image(name)["RepoDigests"]
    registry.publish(name, 6)
    registry.forget(name)
    registry.made.add(digest)
    run = command.run_json(pod("digest", {"name": "app", "image": digest, "command": WAY_OUT}))
    assert run.finish() == 5
    assert run.status("app")["image"] == digest
    assert run.status("app")["imageID"].endswith(digest.partition("@")[2])


def test_an_image_of_several_platforms_is_the_one_of_the_engines(
    command: Command, registry: Registry, client: docker.APIClient
) -> None:
    own = client.version()["Arch"]
    foreign = "arm64" if own == "amd64" else "amd64"
    both, other = registry.name(), registry.name()
    put_index(registry, both, {foreign: 6, own: 5})
    put_index(registry, other, {foreign: 6})
    apps = ({"name": name, "image": image, "command": WAY_OUT} for name, image in (("both", both), ("other", other)))
    run = command.run_json(pod("platforms", *apps))
    run.err.until_line("container/both", "Terminated", "exit 5")
    run.err.until_line("container/other", "  ErrImagePull ", f"no matching manifest for linux/{own}")
    run.interrupt()
    run.finish()


def put_index(registry: Registry, name: str, versions: dict[str, int]) -> None:
    """Publish an image whose versions are for several architectures."""
    entries: list[dict[str, Any]] = []
    for architecture, version in versions.items():
        part = registry.name()
        registry.publish(part, version)
        content = ask(registry, "GET", part)
        entries.append(
            {
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "size": len(content),
                "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
                "platform": {"architecture": architecture, "os": "linux"},
            }
        )
        registry.forget(part)
    ask(registry, "PUT", name, json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": entries}).encode())


LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def ask(registry: Registry, method: str, name: str, content: bytes | None = None) -> bytes:
    """A manifest, read or written."""
    connection = http.client.HTTPConnection(registry.host)
    kind = {"Content-Type": LIST} if content else {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    try:
        connection.request(method, f"/v2/test/manifests/{name.rpartition(':')[2]}", content, kind)
        response = connection.getresponse()
        answer = response.read()
        assert response.status < 300, answer
        return answer
    finally:
        connection.close()


def test_the_login_of_its_user_is_tried_after_the_secrets_of_a_pod(
    command: Command, client: docker.APIClient, tmp_path: Path
) -> None:
    with serving(tmp_path, private=True) as port:
        private = Registry(client, port, private=True)
        image = private.name()
        private.publish(image, 5)
        private.forget(image)
        entry = {"username": USER, "password": "wrong"}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockercfg",
            "metadata": {"name": "wrong"},
            "stringData": {".dockercfg": json.dumps({private.host: entry})},
        }
        login = {"auth": b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        (tmp_path / "config.json").write_text(json.dumps({"auths": {private.host: login}}))
        app = {"name": "app", "image": image, "command": WAY_OUT}
        manifest = command.file(pod("login", app, imagePullSecrets=[{"name": "wrong"}]), secret)
        run = command.run("-o", "json", manifest, env={"DOCKER_CONFIG": str(tmp_path)})
        assert run.finish() == 5
        private.tidy()
