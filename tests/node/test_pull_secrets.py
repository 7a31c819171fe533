"""A pod's own credentials on their way to the engine."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.core.given import container, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import PullDone, PullImage, PullStarted, StartFailed, Warned
from vkprovider.errors import VkError
from vkprovider.model.refs import ObjectRef
from vkprovider.ports import ImageInfo, PullProgress, RegistryAuth

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
