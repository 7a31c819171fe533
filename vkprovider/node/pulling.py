"""Having a container's images at hand: its own, and those that it mounts."""

from __future__ import annotations

from collections.abc import Callable

from vkprovider.core import actions as a
from vkprovider.core.image_names import invalid_image_name
from vkprovider.core.image_volumes import image_volumes
from vkprovider.errors import ImagePullError, SpecError
from vkprovider.model.container import Container
from vkprovider.model.defaults import pull_policy
from vkprovider.model.engine import ImageInfo, RegistryAuth
from vkprovider.model.pod import Pod
from vkprovider.node.fetching import fetch_logins
from vkprovider.node.pulled_images import PulledImages
from vkprovider.ports import ContainerEngine, ObjectStore, WaitingClock, Watcher

Tell = Callable[[a.News], None]


class _Unavailable(Exception):
    """An image that is not to be had now, with the waiting reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Puller:
    """Pulls for the pods of a node. ``pulled`` remembers what came by that; None where nobody wants to know."""

    def __init__(
        self,
        engine: ContainerEngine,
        objects: ObjectStore,
        clock: WaitingClock,
        watcher: Watcher,
        pulled: PulledImages | None = None,
    ) -> None:
        self._engine = engine
        self._objects = objects
        self._clock = clock
        self._watcher = watcher
        self._pulled = pulled

    async def bring(
        self, pod: Pod, container: Container, action: a.PullImage, tell: Tell
    ) -> tuple[a.News, ImageInfo | None]:
        """The image of a container as its policy asks, once those of its volumes are there; and the news of it."""
        volumes, reference = {}, ""
        try:
            for volume in image_volumes(pod, container):
                assert volume.image is not None
                reference = volume.image.reference
                policy = volume.image.pull_policy or pull_policy(reference)
                wanted = a.PullImage(key=a.POD, image=reference, policy=policy, attempt=action.attempt)
                info, seconds = await self._ensure(pod, wanted, container.name, tell)
                tell(a.VolumePulled(image=reference, seconds=seconds, size_bytes=info.size_bytes))
                volumes[volume.name] = info.id
            reference = ""
            info, seconds = await self._ensure(pod, action, container.name, tell)
        except _Unavailable as exc:
            why, what = str(exc), {"image": action.image, "reference": reference}
            return a.StartFailed(key=action.key, attempt=action.attempt, reason=exc.reason, message=why, **what), None
        done = a.PullDone(
            key=action.key,
            image=action.image,
            attempt=action.attempt,
            image_id=info.id,
            seconds=seconds,
            size_bytes=info.size_bytes,
            volumes=volumes,
        )
        return done, info

    async def _ensure(
        self, pod: Pod, wanted: a.PullImage, container: str, tell: Tell
    ) -> tuple[ImageInfo, float | None]:
        """An image, and how many seconds its pull took, None if it was there. Raises _Unavailable and EngineError."""
        problem = invalid_image_name(wanted.image)
        if problem is not None:
            raise _Unavailable("InvalidImageName", problem)
        info = None if wanted.policy == "Always" else await self._engine.image(wanted.image)
        if info is not None:
            return info, None
        if wanted.policy == "Never":
            message = f'Container image "{wanted.image}" is not present with pull policy of Never'
            raise _Unavailable("ErrImageNeverPull", message)
        tell(a.PullStarted(key=wanted.key, image=wanted.image))
        begun = self._clock.monotonic()
        try:
            auths = await self._auths(pod, wanted.image, tell)
            info = await self._pull(pod, wanted.image, container, auths)
        except (ImagePullError, SpecError) as exc:
            raise _Unavailable("ErrImagePull", str(exc)) from exc
        return info, self._clock.monotonic() - begun

    async def _pull(self, pod: Pod, image: str, container: str, auths: tuple[RegistryAuth, ...]) -> ImageInfo:
        before = await self._engine.stored_images() if self._pulled is not None else ()
        info = await self._engine.pull(image, auths, lambda progress: self._watcher.pulling(pod, container, progress))
        if self._pulled is not None:
            await self._pulled.note(info.id, before, await self._engine.stored_images(), self._clock.now())
        return info

    async def _auths(self, pod: Pod, image: str, tell: Tell) -> tuple[RegistryAuth, ...]:
        """The pod's own credentials for an image; those that are missing are told. Raises SpecError."""
        auths, missing = await fetch_logins(self._objects, pod, image)
        if missing:
            message = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image"
            tell(a.Warned(reason="FailedToRetrieveImagePullSecret", message=f"{message} may not succeed."))
        return auths
