"""The images of the fake engine."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager

import msgspec

from tests.fakes.containers import FakeContainer
from vkprovider.errors import EngineConflict, EngineNotFound, ImagePullError
from vkprovider.model.engine import ImageInfo, PullProgress, RegistryAuth, StoredImage
from vkprovider.model.refs import ContainerID

SANDBOX_IMAGE = "vkprovider/sandbox:fake"


class FakeImages(ABC):
    """``images`` are those present, by name; every image can be pulled unless ``registry`` is set, which then holds all
    that can, or ``pull_errors`` names it. ``archives`` are what ``docker save`` gives, by the image's ID.
    """

    containers: dict[ContainerID, FakeContainer]

    def __init__(self) -> None:
        self.images: dict[str, ImageInfo] = {}
        self.registry: dict[str, ImageInfo] | None = None
        self.pull_errors: dict[str, str] = {}
        self.archives: dict[str, bytes] = {}

    @abstractmethod
    def _call(self, verb: str, target: str, detail: str = "") -> AbstractContextManager[None]:
        """A call of the port."""

    def add_image(self, name: str, **facts: str | int | tuple[str, ...]) -> ImageInfo:
        """Have an image in the store."""
        info = msgspec.convert({"id": _digest(name)} | facts, ImageInfo)
        self.images[name] = info
        return info

    async def sandbox_image(self) -> str:
        with self._call("sandbox_image", ""):
            if SANDBOX_IMAGE not in self.images:
                self.add_image(SANDBOX_IMAGE)
            return SANDBOX_IMAGE

    async def image(self, name: str) -> ImageInfo | None:
        with self._call("image", name):
            return self._image(name)

    async def stored_images(self) -> tuple[StoredImage, ...]:
        with self._call("stored_images", ""):
            names: dict[str, list[str]] = {}
            for name, image in self.images.items():
                names.setdefault(image.id, [image.digest] if image.digest else []).append(name)
            sizes = {image.id: image.size_bytes for image in self.images.values()}
            return tuple(StoredImage(id=i, names=tuple(own), size_bytes=sizes[i]) for i, own in names.items())

    async def images_in_use(self) -> frozenset[str]:
        with self._call("images_in_use", ""):
            return frozenset(container.image_id for container in self.containers.values())

    async def remove_image(self, image_id: str) -> None:
        with self._call("remove_image", image_id):
            if any(container.image_id == image_id for container in self.containers.values()):
                raise EngineConflict(f"unable to delete {image_id}: image is being used by a container")
            for name in [name for name, image in self.images.items() if image.id == image_id]:
                del self.images[name]

    async def image_archive(self, image_id: str) -> AsyncIterator[bytes]:
        with self._call("image_archive", image_id):
            archive = self.archives.get(image_id)
            if archive is None:
                raise EngineNotFound(f"No such image: {image_id}")
        yield archive

    async def pull(
        self, name: str, auths: Sequence[RegistryAuth], progress: Callable[[PullProgress], None]
    ) -> ImageInfo:
        with self._call("pull", name):
            error = self.pull_errors.get(name)
            if error is None and self.registry is not None and name not in self.registry:
                error = f"manifest for {name} not found: manifest unknown: manifest unknown"
            if error is not None:
                raise ImagePullError(error)
            if self.registry is not None:
                self.images[name] = self.registry[name]
            elif name not in self.images:
                self.add_image(name)
            info = self.images[name]
            progress(
                PullProgress(
                    image=name, current_bytes=info.size_bytes, total_bytes=info.size_bytes, status="Pull complete"
                )
            )
            return info

    def _image(self, name: str) -> ImageInfo | None:
        return self.images.get(name) or next((i for i in self.images.values() if i.id == name), None)


def _digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
