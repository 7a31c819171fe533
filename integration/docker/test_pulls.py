"""Images: pulled as the policy asks, from a registry on this machine; and what users see where one cannot be had."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import docker
import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import ALWAYS, IMAGE, MARK, pod, shell
from integration.docker.registries import PASSWORD, USER, Registry, serving
from vkprovider.engine.docker_engine import DockerEngine
from vkprovider.model.engine import PullProgress

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def private_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("registry"), private=True) as port:
        yield port


@pytest.fixture
def private(client: docker.APIClient, private_port: int) -> Iterator[Registry]:
    registry = Registry(client, private_port, private=True)
    yield registry
    registry.tidy()


def start(command: Command, image: str, policy: str) -> Run:
    """A pod whose app ends with the version of its image as its exit code."""
    app = {"name": "app", "image": image, "imagePullPolicy": policy, "command": ["sh", "-c", "exit $VERSION"]}
    return command.run_json(pod("pulls", app))


def version_run(command: Command, image: str, policy: str) -> tuple[int, bool]:
    """The version that runs, and whether it was pulled for that."""
    run = start(command, image, policy)
    code = run.finish()
    assert run.one("app").code == code
    return code, "Pulling" in [word for _, word in run.story("Pulling")]


def test_an_image_that_is_missing_is_pulled(command: Command, registry: Registry) -> None:
    image = registry.name()
    registry.publish(image, 1)
    registry.forget(image)
    run = start(command, image, "IfNotPresent")
    assert run.finish() == 1
    assert [word for _, word in run.story("Pulling", "Pulled")] == ["Pulling", "Pulled"]
    assert f'Successfully pulled image "{image}" in ' in str(run.err)


def test_an_image_that_is_present_is_pulled_if_the_policy_is_always(command: Command, registry: Registry) -> None:
    image = registry.name()
    registry.publish(image, 2)
    registry.have(image, 1)
    assert version_run(command, image, "IfNotPresent") == (1, False)
    assert version_run(command, image, "Never") == (1, False)
    assert version_run(command, image, "Always") == (2, True)
    assert version_run(command, image, "Never") == (2, False)


def test_an_image_that_is_missing_is_not_pulled_if_the_policy_is_never(command: Command, registry: Registry) -> None:
    image = registry.name()
    registry.publish(image, 1)
    registry.forget(image)
    run = start(command, image, "Never")
    run.err.until_line("container/app", "  ErrImageNeverPull", "is not present with pull policy of Never")
    run.interrupt()
    assert run.finish() == 130
    assert run.instances() == []


def test_a_missing_tag_is_told_in_the_registrys_words(command: Command, registry: Registry) -> None:
    run = start(command, registry.name(), "IfNotPresent")
    run.err.until_line("container/app", "  ErrImagePull ", "manifest unknown")
    run.err.until_line("container/app", "  ImagePullBackOff ", "manifest unknown")
    run.interrupt()
    assert run.finish() == 130


def test_a_private_image_is_pulled_with_the_secrets_of_its_pod(command: Command, private: Registry) -> None:
    image = private.name()
    private.publish(image, 3)
    private.forget(image)
    stranger = start(command, image, "IfNotPresent")
    stranger.err.until_line("container/app", "  ErrImagePull ", "no basic auth credentials")
    stranger.interrupt()
    assert stranger.finish() == 130
    auths = {private.host: {"username": USER, "password": PASSWORD}, "elsewhere": {"username": "x", "password": "y"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "login"},
        "stringData": {".dockerconfigjson": json.dumps({"auths": auths})},
    }
    app = {"name": "app", "image": image, "command": ["sh", "-c", "exit $VERSION"]}
    run = command.run_json(pod("pulls", app, imagePullSecrets=[{"name": "login"}]), secret)
    assert run.finish() == 3


def test_a_registry_that_is_gone_matters_only_if_the_policy_is_always(command: Command) -> None:
    run = start(command, IMAGE, "Always")
    run.err.until_line("container/app", "  ErrImagePull ", "connection refused")
    run.interrupt()
    assert run.finish() == 130


async def test_a_pull_tells_how_far_it_is(registry: Registry) -> None:
    image, size = registry.name(), 3_000_000
    registry.publish_bytes(image, size)
    registry.forget(image)
    told: list[PullProgress] = []
    engine = DockerEngine(f"pull-{uuid.uuid4().hex}")
    await engine.pull(image, (), told.append)
    await engine.close()
    assert {progress.image for progress in told} == {image}
    done = [progress.current_bytes for progress in told]
    assert done == sorted(done)
    assert size <= done[-1] == told[-1].total_bytes


@pytest.mark.parametrize("form", ["native", "marked"])
def test_a_sidecar_whose_image_cannot_be_pulled_holds_back_the_app_until_ctrl_c(command: Command, form: str) -> None:
    image = "127.0.0.1:1/nothing/there:1"
    app, sidecar = shell("app", "exit 0"), shell("sidecar", "exit 0") | {"image": image}
    if form == "native":
        spec = pod("unpullable", app, initContainers=[sidecar | ALWAYS])
    else:
        spec = pod("unpullable", app, sidecar | {"env": MARK})
    run = command.run_json(spec)
    run.err.until_line("container/sidecar", "  ErrImagePull ", "connection refused")
    run.err.until_line("container/sidecar", "  ImagePullBackOff ", f'Back-off pulling image "{image}"')
    asked = time.monotonic()
    run.interrupt()
    assert run.finish() == 130
    assert time.monotonic() - asked < 3
    assert run.instances() == []
    for name in ("app", "sidecar"):
        if (form, name) == ("native", "app"):  # its turn had not come
            assert run.status(name)["state"]["waiting"]["reason"] == "PodInitializing"
        else:
            assert run.status(name)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
