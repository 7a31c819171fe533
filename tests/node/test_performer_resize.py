"""New limits for running containers on the fake engine, and what is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.core.given import container, pod
from tests.fakes.containers import FakeContainer
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import ActionFailed, ContainerResized, ResizeContainer, ResizeFailed
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.container import ResourceRequirements
from vkprovider.model.refs import ContainerID

WANTED = ResourceRequirements(limits={"memory": "64Mi", "cpu": "500m"}, requests={"cpu": "250m", "memory": "64Mi"})


def resizing(target: FakeContainer, *, less_memory: bool = False) -> ResizeContainer:
    return ResizeContainer(key="app", container_id=target.id, resources=WANTED, less_memory=less_memory)


async def running(stage: Stage) -> FakeContainer:
    return stage.engine.containers[await stage.started()]


@virtual_time
async def test_a_container_gets_its_limits(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app")))
    app = await running(stage)
    assert await stage.do(resizing(app)) == (ContainerResized(key="app", container_id=app.id, resources=WANTED),)
    limits = app.spec.limits
    assert (limits.memory, limits.cpu_quota, limits.cpu_shares) == (64 << 20, 50_000, 256)
    assert stage.engine.calls("memory_usage") == []


@pytest.mark.parametrize(("usage", "fits"), [((64 << 20) - 1, True), (64 << 20, False), (1 << 30, False)])
@virtual_time
async def test_a_smaller_limit_must_leave_what_is_used(tmp_path: Path, usage: int, fits: bool):
    stage = await Stage.on(tmp_path, pod(container("app")))
    app = await running(stage)
    app.uses_memory = usage
    (told,) = await stage.do(resizing(app, less_memory=True))
    assert isinstance(told, ContainerResized if fits else ResizeFailed)
    assert bool(stage.engine.calls("update")) is fits
    if isinstance(told, ResizeFailed):
        assert told.message == (
            'cannot decrease memory limits: attempting to set container "app" memory limit (67108864) '
            f"below current usage ({usage})"
        )


@virtual_time
async def test_the_engine_may_refuse(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app")))
    app = await running(stage)
    stage.engine.fail("update", EngineError("Minimum memory limit allowed is 6MB"))
    assert await stage.do(resizing(app)) == (ResizeFailed(key="app", message="Minimum memory limit allowed is 6MB"),)
    gone = msgspec.structs.replace(resizing(app), container_id=ContainerID("gone"))
    (told,) = await stage.do(gone)
    assert isinstance(told, ResizeFailed)
    stage.engine.fail("update", EngineUnavailable("away"))
    (told,) = await stage.do(resizing(app))
    assert isinstance(told, ActionFailed)
