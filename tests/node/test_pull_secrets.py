"""Pulls: a pod's own credentials on their way to the engine, and the images that its volumes show."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.core.given import container, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import virtual_time
from tests.node.saved_image import file, layer, saved
from tests.node.stage import Stage
from vkprovider.core.actions import (
    ContainerStarted,
    PrepareVolumes,
    PullDone,
    PullImage,
    PullStarted,
    StartFailed,
    TeardownPod,
    VolumePulled,
    Warned,
)
from vkprovider.errors import VkError
from vkprovider.model.engine import ImageInfo, PullProgress, RegistryAuth
from vkprovider.model.refs import ObjectRef

IMAGE = "registry.example.com/app:1"
PULL = PullImage(key="app", image=IMAGE, policy="Always", attempt=0)
LOGIN = ObjectRef("Secret", "default", "login")


class NotingEngine(LivingEngine):
    """An engine that remembers what it was given to pull with."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[tuple[RegistryAuth, ...]] = []

    async def pull(
        self, name: str, auths: Sequence[RegistryAuth], progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        self.given.append(tuple(auths))
        return await super().pull(name, auths, progress)


def secret(content: str) -> dict[str, Any]:
    data = {".dockerconfigjson": b64encode(content.encode()).decode()}
    return {"type": "kubernetes.io/dockerconfigjson", "metadata": {"name": "login"}, "data": data}


async def stage_with(directory: Path, *secrets: str) -> tuple[Stage, NotingEngine]:
    engine = NotingEngine()
    given = pod(container("app", image=IMAGE), imagePullSecrets=[{"name": name} for name in secrets])
    return Stage(await LivingNode.on(directory, engine), given), engine


@virtual_time
async def test_an_image_is_pulled_with_the_secrets_of_its_pod(tmp_path: Path):
    stage, engine = await stage_with(tmp_path, "login")
    entries = {"registry.example.com": {"username": "me", "password": "p"}, "other": {"username": "x"}}
    stage.node.objects.put(LOGIN, secret(json.dumps({"auths": entries})))
    (done,) = await stage.do(PULL)
    assert isinstance(done, PullDone)
    assert engine.given == [(RegistryAuth(username="me", password="p"),)]
    assert stage.heard == [PullStarted(key="app", image=IMAGE)]


@virtual_time
async def test_a_pod_without_secrets_has_no_credentials(tmp_path: Path):
    stage, engine = await stage_with(tmp_path)
    await stage.do(PULL)
    assert engine.given == [()]


@virtual_time
async def test_secrets_that_are_missing_are_told_and_the_pull_is_tried(tmp_path: Path):
    stage, engine = await stage_with(tmp_path, "a", "b")
    await stage.do(PULL)
    stage.node.objects.error = VkError("the API server is away")
    await stage.do(PULL)
    why = "Unable to retrieve some image pull secrets (a, b); attempting to pull the image may not succeed."
    warning = Warned(reason="FailedToRetrieveImagePullSecret", message=why)
    assert [news for news in stage.heard if isinstance(news, Warned)] == [warning, warning]
    assert engine.given == [(), ()]


@virtual_time
async def test_a_secret_that_cannot_be_read_fails_the_pull(tmp_path: Path):
    stage, engine = await stage_with(tmp_path, "login")
    stage.node.objects.put(LOGIN, secret("{"))
    why = 'secret "login" cannot be used to pull images: .dockerconfigjson is not what docker login writes'
    failed = StartFailed(key="app", attempt=0, reason="ErrImagePull", message=why, image=IMAGE)
    assert await stage.do(PULL) == (failed,)
    assert engine.given == []


# --- images of volumes ------------------------------------------------------------------------------------------

DATA = "registry.example.com/data:1"


async def stage_with_volume(directory: Path, policy: str = "") -> tuple[Stage, NotingEngine]:
    engine = NotingEngine()
    engine.registry = {IMAGE: ImageInfo(id="sha256:app"), DATA: ImageInfo(id="sha256:data", size_bytes=7)}
    mounts = [{"name": "data", "mountPath": "/data"}]
    volume = {"reference": DATA} | ({"pullPolicy": policy} if policy else {})
    given = pod(
        container("app", image=IMAGE, volumeMounts=mounts),
        container("other", image=IMAGE),
        volumes=[{"name": "data", "image": volume}],
        imagePullSecrets=[{"name": "login"}],
    )
    stage = Stage(await LivingNode.on(directory, engine), given)
    auths = {"auths": {"registry.example.com": {"username": "me", "password": "p"}}}
    stage.node.objects.put(LOGIN, secret(json.dumps(auths)))
    return stage, engine


@virtual_time
async def test_images_of_volumes_come_before_the_containers_own_with_the_same_secrets(tmp_path: Path):
    stage, engine = await stage_with_volume(tmp_path)
    (done,) = await stage.do(PULL)
    assert isinstance(done, PullDone)
    assert (done.image_id, dict(done.volumes)) == ("sha256:app", {"data": "sha256:data"})
    assert [call.target for call in engine.calls("pull")] == [DATA, IMAGE]
    assert engine.given == [(RegistryAuth(username="me", password="p"),)] * 2
    started, pulled, own = stage.heard
    assert started == PullStarted(image=DATA)
    assert isinstance(pulled, VolumePulled)
    assert (pulled.image, pulled.size_bytes, pulled.seconds is None) == (DATA, 7, False)
    assert own == PullStarted(key="app", image=IMAGE)


@virtual_time
async def test_an_image_of_a_volume_that_is_there(tmp_path: Path):
    stage, engine = await stage_with_volume(tmp_path)
    engine.images[DATA] = ImageInfo(id="sha256:data")
    await stage.do(PULL)
    assert stage.heard[0] == VolumePulled(image=DATA)
    assert [call.target for call in engine.calls("pull")] == [IMAGE]


@virtual_time
async def test_a_container_that_does_not_mount_it_needs_no_image_of_a_volume(tmp_path: Path):
    stage, engine = await stage_with_volume(tmp_path)
    (done,) = await stage.do(msgspec.structs.replace(PULL, key="other"))
    assert isinstance(done, PullDone)
    assert dict(done.volumes) == {}
    assert [call.target for call in engine.calls("pull")] == [IMAGE]


@virtual_time
async def test_an_image_of_a_volume_that_cannot_be_had_keeps_its_container_from_starting(tmp_path: Path):
    stage, engine = await stage_with_volume(tmp_path)
    engine.pull_errors[DATA] = "toomanyrequests: slow down"
    (failed,) = await stage.do(PULL)
    why = "toomanyrequests: slow down"
    assert failed == StartFailed(key="app", attempt=0, reason="ErrImagePull", message=why, image=IMAGE, reference=DATA)
    assert [call.target for call in engine.calls("pull")] == [DATA]


@virtual_time
async def test_an_image_of_a_volume_that_is_not_to_be_pulled(tmp_path: Path):
    stage, _ = await stage_with_volume(tmp_path, "Never")
    (failed,) = await stage.do(PULL)
    assert isinstance(failed, StartFailed)
    assert (failed.reason, failed.reference) == ("ErrImageNeverPull", DATA)


@virtual_time
async def test_a_container_has_its_image_volumes_from_a_copy(tmp_path: Path):
    stage, engine = await stage_with_volume(tmp_path)
    engine.archives["sha256:data"] = saved(layer(file("greeting", "hello")))
    (done,) = await stage.do(PULL)
    assert isinstance(done, PullDone)
    await stage.do(PrepareVolumes())
    start = stage.starting(await stage.sandbox(), image_id=done.image_id, volumes=done.volumes)
    news = await stage.do(start)
    assert isinstance(news[-1], ContainerStarted)
    mount = next(m for m in engine.containers[news[-1].container_id].spec.mounts if m.target == "/data")
    assert mount.read_only
    assert await asyncio.to_thread((Path(mount.source) / "greeting").read_text) == "hello"
    await stage.do(TeardownPod())
    assert os.listdir(tmp_path / "images") == []
