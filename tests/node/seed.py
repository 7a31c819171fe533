"""The pod of the seed's Job on a node of its own."""

from __future__ import annotations

from pathlib import Path

from tests.core.given import container, marked, pod
from tests.fakes.living_engine import LivingEngine
from tests.fakes.node import LivingNode
from tests.fakes.programs import ends, ignores_term
from tests.fakes.virtual_time import T0

SEED = pod(container("app"), marked("sidecar"))


async def seed_node(directory: Path, engine: LivingEngine | None = None) -> LivingNode:
    """A node on which the seed's app takes ten seconds and its sidecar ignores TERM."""
    node = await LivingNode.on(directory, engine)
    node.engine.program("app", ends(0, after=10))
    node.engine.program("sidecar", ignores_term())
    return node


def after_start(node: LivingNode, name: str) -> tuple[float, float]:
    """When the only instance of a container began and ended, in seconds."""
    (instance,) = node.engine.named(name)
    assert instance.started_at is not None
    assert instance.finished_at is not None
    return (instance.started_at - T0).total_seconds(), (instance.finished_at - T0).total_seconds()
