"""Volumes that stay true: made before any container starts, and again whenever what they show has changed.

What has changed is counted, never taken note of in itself: a change that is heard of while volumes are being made
counts one more, and they are made once more.
"""

from __future__ import annotations

from datetime import timedelta

from vkprovider.core import env
from vkprovider.core.actions import POD, PrepareVolumes, VolumesReady
from vkprovider.core.draft import Draft
from vkprovider.core.pod_certificates import CREDENTIAL
from vkprovider.core.projections import shows_pod
from vkprovider.core.pull_secrets import pull_secrets
from vkprovider.core.trust_anchors import BUNDLE, BUNDLES_OF_SIGNER
from vkprovider.core.volumes import needed_objects
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

FAILED_MOUNT = "FailedMount"
NOT_REFRESHED = "VolumeNotRefreshed"

# A node may get claims and their volumes, and not watch them.
_FOLLOWED = ("ConfigMap", "Secret", BUNDLE, BUNDLES_OF_SIGNER, CREDENTIAL)

_FIRST_RETRY = timedelta(seconds=0.5)  # pkg/util/goroutinemap/exponentialbackoff
_LAST_RETRY = timedelta(minutes=2, seconds=2)
_DOUBLINGS = 10


def prepare_volumes(draft: Draft) -> None:
    """Have the volumes made, or brought up to date if something they show may have changed."""
    memory, now = draft.memory, draft.view.now
    shown = _shown(draft.view.pod)
    due = memory.volumes_renew_at is not None and memory.volumes_renew_at <= now
    if shown != memory.volumes_show or due:
        draft.keep(volumes_show=shown, volumes_renew_at=None, volumes_wanted=memory.volumes_wanted + 1)
    memory = draft.memory
    if memory.volumes_renew_at is not None:
        draft.wakes.append(memory.volumes_renew_at)
    if not memory.volumes_ready or memory.volumes_made != memory.volumes_wanted:
        draft.act_on_pod(PrepareVolumes(version=memory.volumes_wanted))


def note_change(draft: Draft, ref: ObjectRef) -> None:
    """An object has changed. What failed for want of it may be tried at once."""
    if ref not in needed_objects(draft.view.pod):
        return
    draft.keep(volumes_wanted=draft.memory.volumes_wanted + 1)
    failure = draft.memory.failures.get(POD)
    if failure is not None and failure.reason == FAILED_MOUNT:
        draft.forget_failure(POD)


def note_made(draft: Draft, news: VolumesReady) -> None:
    """Volumes are as they should be, but for what is withheld: that is told once."""
    for message in news.withheld:
        if message not in draft.memory.volumes_withheld:
            left = f"{message}. The files that are there stay, and are no longer refreshed"
            draft.event(POD, NOT_REFRESHED, left, warning=True)
    draft.keep(
        volumes_ready=True,
        volumes_made=news.version,
        volumes_renew_at=news.renew_at,
        volumes_withheld=news.withheld,
    )
    draft.forget_failure(POD)


def remount_delay(draft: Draft) -> timedelta:
    """How long to wait after volumes could not be made: half a second, doubling to two minutes."""
    failure = draft.memory.failures.get(POD)
    before = failure.count if failure is not None and failure.reason == FAILED_MOUNT else 0
    doubled: int = 2 ** min(before, _DOUBLINGS)
    return min(_FIRST_RETRY * doubled, _LAST_RETRY)


def followed_objects(draft: Draft) -> frozenset[ObjectRef]:
    """The objects that the pod's volumes and variables are made from, and its pull secrets; none once it ends."""
    if draft.record.ending is not None:
        return frozenset()
    pod = draft.view.pod
    containers = (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)
    variables = (env.needed_objects(pod, container) for container in containers)
    needed = needed_objects(pod).union(pull_secrets(pod), *variables)
    return frozenset(ref for ref in needed if ref.kind in _FOLLOWED)


def _shown(pod: Pod) -> tuple[object, object] | None:
    if not any(shows_pod(volume) for volume in pod.spec.volumes):
        return None
    return pod.metadata.labels, pod.metadata.annotations
