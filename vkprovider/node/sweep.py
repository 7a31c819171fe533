"""Removing everything of a node that no pod worker looks after any more."""

from __future__ import annotations

from vkprovider.model.labels import NODE
from vkprovider.node.image_volumes import ImageVolumes
from vkprovider.node.pod_dirs import PodDirs
from vkprovider.ports import ContainerEngine


async def sweep(engine: ContainerEngine, dirs: PodDirs) -> None:
    """Remove the node's containers, volumes and directories, whatever state they are in. Raises EngineError."""
    for uid in await engine.pods():
        observed = await engine.observe(uid)
        for container in observed.containers:
            await engine.remove(container.id)
        for sandbox in observed.sandboxes:
            await engine.remove(sandbox.id)
        await engine.forget(uid)
    await engine.remove_volumes({NODE: engine.node})
    for uid in await dirs.uids():
        await dirs.remove(uid, engine)
    await ImageVolumes(engine, dirs.root).release()
