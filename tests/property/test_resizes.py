"""A pod that is resized again and again, with crashes and refusals in between, has what it asks for in the end."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.core.given import container, pod
from tests.property.world import World
from vkprovider.core.resources import container_limits
from vkprovider.errors import EngineError
from vkprovider.model.container import ContainerResizePolicy, ResourceRequirements

MEMORY = 1 << 30  # of the node in the world
RESTART = ContainerResizePolicy(resource_name="memory", restart_policy="RestartContainer")


def asking(cpu: int, memory: int) -> ResourceRequirements:
    return ResourceRequirements(requests={"cpu": f"{cpu}m"}, limits={"cpu": f"{cpu}m", "memory": f"{memory}Mi"})


steps = st.one_of(
    st.tuples(st.just("resize"), st.integers(1, 9)),
    st.tuples(st.sampled_from(["look", "settle", "crash", "refuse", "lose"]), st.just(0)),
)


@given(fate=st.lists(steps, max_size=25), restarting=st.booleans())
def test_it_has_what_it_asks_for_in_the_end(fate: list[tuple[str, int]], restarting: bool) -> None:
    world = World(pod(container("app", resources=msgspec.to_builtins(asking(100, 16))), policy="Always"))
    world.settle()
    for step, size in fate:
        if step == "resize":
            (app,) = world.pod.spec.containers
            policy = (RESTART,) if restarting else ()
            asked = asking(100 * size, 16 * size)
            world.change(containers=(msgspec.structs.replace(app, resources=asked, resize_policy=policy),))
        elif step == "lose":
            for key in list(world.flight)[:1]:
                world.lose_answer(key)
        elif step == "refuse":
            world.engine.fail("update", EngineError("no"))
        else:
            {"look": world.look, "settle": world.settle, "crash": world.crash}[step]()
    world.engine._faults.clear()
    for _ in range(4):
        world.settle()
        world.clock.time += timedelta(seconds=31)
    decision = world.settle()
    (app,) = world.pod.spec.containers
    running = [c for c in world.engine.named("app") if c.running]
    wanted = container_limits(world.pod.spec, app, MEMORY)
    assert [(c.spec.limits.cpu_quota, c.spec.limits.memory) for c in running] == [(wanted.cpu_quota, wanted.memory)]
    assert "PodResizeInProgress" not in {c["type"] for c in decision.status["conditions"]}
    assert decision.record.resizing is None
    if not restarting:
        assert len(world.engine.named("app")) == 1
