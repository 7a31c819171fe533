"""What is left on this machine of pods that nobody knows any more: neither the API server nor a checkpoint.

It was a pod's when its record was lost, or the whole state directory, and its object was deleted before the next
start. Ask only once all pods that there are have been taken in (pkg/kubelet/kubelet_pods.go HandlePodCleanups).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Protocol

import structlog

from vkprovider.model.observed import ContainerState, PodObservation
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import PodUID
from vkprovider.node.pod_dirs import MountsLeft
from vkprovider.ports import ContainerEngine

Known = Callable[[], Container[PodUID]]
log = structlog.get_logger()


class Files(Protocol):
    """What pods have on disk: ``node.pod_files.PodFiles``."""

    async def uids(self) -> frozenset[PodUID]: ...

    async def remove(self, uid: PodUID) -> None: ...


async def find_orphans(engine: ContainerEngine, known: Known) -> list[Pod]:
    """The unknown pods of which there are containers, as far as those tell what they are. Raises EngineError."""
    there = await engine.pods()
    unknown = [uid for uid in sorted(there) if uid not in known()]
    seen = [(uid, await engine.observe(uid)) for uid in unknown]
    return [_pod(uid, observed) for uid, observed in seen if observed.pod is not None]


async def remove_orphaned_files(files: Files, known: Known) -> None:
    """Remove directories and volumes of unknown pods, but nothing that is mounted there. Raises EngineError."""
    for uid in sorted(await files.uids()):
        if uid in known():
            continue
        try:
            await files.remove(uid)
        except MountsLeft as exc:
            log.warning("orphaned pod found, but volumes are not cleaned up", uid=uid, error=str(exc))
        else:
            log.info("removed the directory of a pod that nobody knows", uid=uid)


def _pod(uid: PodUID, observed: PodObservation) -> Pod:
    """A pod that can be ended. No label tells who is a sidecar; but a sidecar starts before those it serves, so that
    they end in order where what came last goes first, as in a chain of native sidecars.
    """
    assert observed.pod is not None
    first: dict[str, ContainerState] = {}
    for instance in sorted(observed.containers, key=lambda c: (c.created_at, c.attempt)):
        first.setdefault(instance.name, instance)
    chain: list[dict[str, Any]] = [{"name": each.name, "image": each.image} for each in first.values()]
    return decode_pod(
        {
            "metadata": {"name": observed.pod.name, "namespace": observed.pod.namespace, "uid": uid},
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [each | {"restartPolicy": "Always"} for each in chain[:-1]],
                "containers": chain[-1:],
            },
        }
    )
