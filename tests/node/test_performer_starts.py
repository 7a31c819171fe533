"""Pulls and starts on the fake engine, with real files: the news they answer with, whatever comes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core.given import container, pod
from tests.fakes.programs import Program
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import (
    ActionFailed,
    ContainerCreated,
    ContainerStarted,
    PullDone,
    PullImage,
    PullStarted,
    StartFailed,
)
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.engine import ImageInfo
from vkprovider.model.refs import ObjectRef


def pulling(policy: str, image: str = "busybox:1.28", attempt: int = 0) -> PullImage:
    return PullImage(key="app", image=image, policy=policy, attempt=attempt)


@pytest.mark.parametrize("policy", ["IfNotPresent", "Never"])
@virtual_time
async def test_an_image_that_is_there_is_not_pulled(tmp_path: Path, policy: str):
    stage = await Stage.on(tmp_path)
    image = stage.engine.add_image("busybox:1.28", size_bytes=77)
    done = PullDone(key="app", image="busybox:1.28", attempt=3, image_id=image.id, seconds=None, size_bytes=77)
    assert await stage.do(pulling(policy, attempt=3)) == (done,)
    assert stage.heard == stage.engine.calls("pull") == []


@pytest.mark.parametrize(("policy", "present"), [("Always", True), ("Always", False), ("IfNotPresent", False)])
@virtual_time
async def test_an_image_is_pulled_as_its_policy_asks(tmp_path: Path, policy: str, present: bool):
    stage = await Stage.on(tmp_path)
    stage.engine.registry = {"registry/a:1": ImageInfo(id="sha256:new", size_bytes=99)}
    if present:
        stage.engine.add_image("registry/a:1", id="sha256:old")
    (done,) = await stage.do(pulling(policy, "registry/a:1"))
    assert done == PullDone(
        key="app", image="registry/a:1", attempt=0, image_id="sha256:new", seconds=0.0, size_bytes=99
    )
    assert stage.heard == [PullStarted(key="app", image="registry/a:1")]
    assert [(name, progress.total_bytes) for name, progress in stage.node.told.progress] == [("app", 99)]


@virtual_time
async def test_an_image_that_must_not_be_pulled_and_is_not_there(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    (failed,) = await stage.do(pulling("Never", "a:1", attempt=2))
    message = 'Container image "a:1" is not present with pull policy of Never'
    assert failed == StartFailed(key="app", attempt=2, reason="ErrImageNeverPull", message=message, image="a:1")
    assert stage.engine.calls("pull") == []


@virtual_time
async def test_an_image_that_cannot_be_pulled(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    stage.engine.pull_errors["a:1"] = "pull access denied"
    (failed,) = await stage.do(pulling("IfNotPresent", "a:1"))
    assert failed == StartFailed(key="app", attempt=0, reason="ErrImagePull", message="pull access denied", image="a:1")
    assert stage.heard == [PullStarted(key="app", image="a:1")]


@virtual_time
async def test_a_name_that_is_no_image(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    (failed,) = await stage.do(pulling("Always", "Busybox:1"))
    assert isinstance(failed, StartFailed)
    assert failed.reason == "InvalidImageName"
    assert failed.message.startswith('Failed to apply default image tag "Busybox:1": couldn\'t parse image name ')
    assert stage.engine.journal == []


@virtual_time
async def test_a_container_is_started_in_its_sandbox(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    sandbox_id = await stage.sandbox()
    (started,) = await stage.do(stage.starting(sandbox_id, backoff_seconds=20, attempt=3))
    (app,) = stage.engine.named("app")
    assert stage.heard == [ContainerCreated(key="app", container_id=app.id)]
    assert started == ContainerStarted(key="app", container_id=app.id)
    assert app.running
    assert app.identity is not None
    assert (app.attempt, app.identity.backoff_seconds, app.identity.image) == (3, 20, "busybox:1.28")
    assert app.spec.network == f"container:{sandbox_id}"
    targets = {mount.target for mount in app.spec.mounts}
    assert targets == {"/dev/termination-log", "/etc/hosts"}


@virtual_time
async def test_a_start_repeated_is_done_once(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    assert await stage.do(action) == await stage.do(action)
    assert [c.runs for c in stage.engine.named("app")] == [1]


@virtual_time
async def test_variables_come_from_objects_and_from_the_pod(tmp_path: Path):
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "word"}}},
    ]
    stage = await Stage.on(tmp_path, pod(container("app", env=env)))
    stage.node.objects.objects[ObjectRef("Secret", "default", "s")] = {"data": {"word": "bW9sZQ=="}}
    await stage.started()
    (app,) = stage.engine.named("app")
    assert app.spec.env == ("IP=10.88.0.2", "NODE=node", "WORD=mole")


CONFIG = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "a"}}}


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"env": [CONFIG]}, "CreateContainerConfigError", 'configmap "c" not found'),
        (
            {"securityContext": {"runAsNonRoot": True}},
            "CreateContainerConfigError",
            'container has runAsNonRoot and image will run as root (pod: "p_default(u)", container: app)',
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            "CreateContainerConfigError",
            'cannot find volume "v" to mount into container "app"',
        ),
    ],
)
@virtual_time
async def test_a_container_that_cannot_be_made_of_its_spec(
    tmp_path: Path, fields: dict[str, Any], reason: str, message: str
):
    stage = await Stage.on(tmp_path, pod(container("app", **fields)))
    (failed,) = await stage.do(stage.starting(await stage.sandbox(), attempt=2))
    assert failed == StartFailed(key="app", attempt=2, reason=reason, message=message)
    assert stage.engine.named("app") == []


@virtual_time
async def test_a_disk_that_fails_is_no_reason_to_give_up(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    (tmp_path / "pods").write_text("not a directory")
    (failed,) = await stage.do(action)
    assert isinstance(failed, StartFailed)
    assert failed.reason == "CreateContainerError"
    assert "Not a directory" in failed.message


@virtual_time
async def test_an_image_that_was_removed_after_its_pull(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    del stage.engine.images["busybox:1.28"]
    (failed,) = await stage.do(action)
    message = f"image {action.image_id} is not in the engine any more"
    assert failed == StartFailed(key="app", attempt=0, reason="CreateContainerError", message=message)


@virtual_time
async def test_an_image_is_asked_for_once(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    await stage.do(pulling("IfNotPresent"))
    await stage.started()
    assert len(stage.engine.calls("image")) == 1


@virtual_time
async def test_a_create_that_is_refused(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    stage.engine.fail("create", EngineError("invalid mount config"))
    (failed,) = await stage.do(action)
    assert failed == StartFailed(key="app", attempt=0, reason="CreateContainerError", message="invalid mount config")


@virtual_time
async def test_a_start_that_fails(tmp_path: Path):
    stage = await Stage.on(tmp_path)
    stage.engine.program("app", Program(start_error="exec: no such file"))
    (failed,) = await stage.do(stage.starting(await stage.sandbox()))
    (app,) = stage.engine.named("app")
    assert stage.heard == [ContainerCreated(key="app", container_id=app.id)]
    assert failed == StartFailed(key="app", attempt=0, reason="RunContainerError", message="exec: no such file")


@pytest.mark.parametrize("verb", ["create", "start"])
@pytest.mark.parametrize("after", [False, True])
@virtual_time
async def test_a_start_of_which_nothing_is_known(tmp_path: Path, verb: str, after: bool):
    stage = await Stage.on(tmp_path)
    action = stage.starting(await stage.sandbox())
    stage.engine.fail(verb, EngineUnavailable("timed out"), after=after)
    assert await stage.do(action) == (ActionFailed(key="app", action="StartContainer", message="timed out"),)
    (started,) = await stage.do(action)
    assert isinstance(started, ContainerStarted)
    assert [c.runs for c in stage.engine.named("app")] == [1]
