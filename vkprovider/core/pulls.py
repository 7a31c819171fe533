"""A container's image: had before the container is started, and before an old run is stopped to make room for it.

A kubelet stops the old run first (kuberuntime_manager.go computePodActions). Here it goes on as long as the pull takes,
or fails; who waits for the new image to show in the status sees no difference.
"""

from __future__ import annotations

from vkprovider.core.actions import PullImage
from vkprovider.core.draft import Draft
from vkprovider.core.record import ImageReady
from vkprovider.core.sidecars import Kind
from vkprovider.core.standing import Standing
from vkprovider.core.view import PodView
from vkprovider.model.defaults import pull_policy
from vkprovider.model.labels import spec_hash


def image_at_hand(view: PodView, standing: Standing) -> ImageReady | None:
    """The image of the next attempt, once it has been made sure of."""
    image = view.memory.images.get(standing.name)
    if image is None or (image.attempt, image.image) != (standing.next_attempt, standing.role.container.image):
        return None
    return image


def pull_image(standing: Standing) -> PullImage:
    """Make sure of the image of the next attempt."""
    container = standing.role.container
    policy = container.image_pull_policy or pull_policy(container.image)
    return PullImage(key=standing.name, image=container.image, policy=policy, attempt=standing.next_attempt)


def is_outdated(standing: Standing) -> bool:
    """Whether a container runs with another image than it should have by now. A plain init container may."""
    instance, role = standing.newest, standing.role
    if instance is None or not instance.alive or role.kind in (Kind.INIT, Kind.EPHEMERAL):
        return False
    return instance.spec_hash != spec_hash(role.container)


def give_up_pull(draft: Draft, standing: Standing) -> None:
    """Give up a pull for a container that is to have another image by now, or that has ended for good meanwhile."""
    busy = standing.busy
    if isinstance(busy, PullImage) and (busy.image != standing.role.container.image or standing.done):
        draft.cancel.add(standing.name)


def bring_new_image(draft: Draft, standing: Standing) -> None:
    """Have the image that a running container is to be replaced for; one that is not wanted after all is forgotten."""
    failure = standing.failure
    if not is_outdated(standing):
        if failure is not None and failure.image and failure.attempt == standing.next_attempt:
            draft.forget_failure(standing.name)
    elif standing.retry_at is not None and standing.retry_at > draft.view.now:
        draft.wakes.append(standing.retry_at)
    elif standing.busy is None:
        draft.actions.append(pull_image(standing))
