"""Limits of a pod as a whole, and what is said where its containers cannot share them."""

from __future__ import annotations

from pathlib import Path

from tests.core.given import container, pod
from tests.fakes.virtual_time import virtual_time
from tests.node.stage import Stage
from vkprovider.core.actions import CreateSandbox, TeardownPod, Warned
from vkprovider.model.create import Limits

WHOLE = {"limits": {"memory": "64Mi"}}


@virtual_time
async def test_an_engine_that_cannot_share_them_is_told_of(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("a"), container("b"), resources=WHOLE))
    (said,) = await stage.do(CreateSandbox(attempt=0))
    assert isinstance(said, Warned)
    assert said.reason == "PodLimitsNotShared"
    assert said.message.startswith("the limits of the pod as a whole (memory 64Mi) hold for each of its containers by")


@virtual_time
async def test_all_containers_of_the_pod_bear_them(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), resources=WHOLE))
    stage.engine.add_image("busybox:1.28")
    await stage.started()
    together = [made.spec.pod_limits for made in stage.engine.containers.values()]
    assert together == [Limits(cpu_shares=2, memory=64 << 20)] * 2


@virtual_time
async def test_nothing_is_left_of_them(tmp_path: Path):
    stage = await Stage.on(tmp_path, pod(container("app"), resources=WHOLE))
    await stage.sandbox()
    await stage.do(TeardownPod())
    verbs = [call.verb for call in stage.engine.calls("remove", "forget")]
    assert verbs == ["remove", "forget"]
