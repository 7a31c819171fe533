"""Where sandboxes and tools get their image from: the built-in one, or one that the administrator names."""

from __future__ import annotations

import asyncio

from vkprovider.engine import sandbox_image
from vkprovider.engine.images import Images
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineError

_GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}  # what uname calls them, to what Go and images call them


class SandboxSource:
    """Makes sure of the image before its first use, and again after ``missing``."""

    def __init__(self, unary: Unary, images: Images, override: str) -> None:
        self._unary = unary
        self._images = images
        self._override = override
        self._present = ""
        self._lock = asyncio.Lock()

    async def image(self) -> str:
        """The image's name, once the engine has it. Raises EngineError, or ImagePullError for one of the user's."""
        async with self._lock:
            if not self._present:
                self._present = await self._ensure()
            return self._present

    def missing(self, image: str) -> None:
        """A create found no such image: it was removed behind our back."""
        if image == self._present:
            self._present = ""

    async def _ensure(self) -> str:
        if self._override:
            if await self._images.find(self._override) is None:
                await self._images.pull(self._override, (), lambda _: None)
            return self._override
        version = await self._unary.version()
        arch = _GOARCH.get(version.arch, version.arch)
        name = await asyncio.to_thread(sandbox_image.name, arch)
        if await self._images.find(name) is None:
            answer = await self._unary.upload("/images/load", await asyncio.to_thread(sandbox_image.tar, arch))
            if await self._images.find(name) is None:
                said = answer.decode(errors="replace").strip()
                raise EngineError(f"the engine did not take the sandbox image: {said}")
        return name
