"""Images: what the engine has, and pulling what it has not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from urllib.parse import quote

from docker import auth
from docker.utils import parse_repository_tag

from vkprovider.engine.convert import image_info, stored_images
from vkprovider.engine.logins import Logins
from vkprovider.engine.pull_progress import PullStream
from vkprovider.engine.streaming import Streaming
from vkprovider.engine.unary import Unary
from vkprovider.errors import EngineConflict, EngineNotFound, ImagePullError
from vkprovider.model.engine import ImageInfo, PullProgress, RegistryAuth, StoredImage

Progress = Callable[[PullProgress], None]
PullKey = tuple[str, tuple[RegistryAuth, ...]]

_CHUNK = 1 << 20


class Images:
    """The engine's images. Who asks for the same one at once, with the same credentials, shares one pull."""

    def __init__(self, unary: Unary, streaming: Streaming, logins: Logins) -> None:
        self._unary = unary
        self._streaming = streaming
        self._logins = logins
        self._pulls: dict[PullKey, _Pull] = {}

    async def find(self, name: str) -> ImageInfo | None:
        """The image by name or ID, or None."""
        try:
            found = await self._unary.call("GET", f"/images/{quote(name, safe='/:@')}/json")
        except EngineNotFound:
            return None
        return image_info(found, name)

    async def stored(self) -> tuple[StoredImage, ...]:
        """All that have a name."""
        return stored_images(await self._unary.call("GET", "/images/json"))

    async def remove(self, image_id: str) -> None:
        """Remove an image with all its names; one that is gone is fine. Raises EngineConflict if anything uses it."""
        try:
            found = await self._unary.call("GET", f"/images/{image_id}/json")
            await self._unary.call("DELETE", f"/images/{image_id}")
        except EngineNotFound:
            return
        except EngineConflict:  # as also of an image with names of several repositories
            for name in (*(found.get("RepoTags") or ()), *(found.get("RepoDigests") or ())):
                with suppress(EngineNotFound):
                    await self._unary.call("DELETE", f"/images/{quote(name, safe='/:@')}")

    async def archive(self, image_id: str) -> AsyncGenerator[bytes]:
        """The image as ``docker save`` writes it."""
        async with self._streaming.open("GET", f"/images/{image_id}/get") as content:
            async for chunk in content.iter_chunked(_CHUNK):
                yield chunk

    async def pull(self, name: str, auths: Sequence[RegistryAuth], progress: Progress) -> ImageInfo:
        """Pull, or join a pull under way. The last caller that is cancelled ends it.

        Credentials are tried in order, then those of ``docker login`` where they are to be used; with none at all
        the registry is asked without any.
        Raises ImagePullError, EngineUnavailable.
        """
        key = (name, tuple(auths))
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull(lambda tell: self._pull(name, key[1], tell), f"pull {name}")
        try:
            return await pull.join(progress)
        finally:
            if pull.is_over or pull.is_deserted:
                if self._pulls.get(key) is pull:
                    del self._pulls[key]
                await pull.end()

    async def _pull(self, name: str, auths: Sequence[RegistryAuth], progress: Progress) -> ImageInfo:
        failures: list[str] = []
        for header in await self._auth_headers(name, auths):
            try:
                await self._pull_once(name, header, progress)
            except ImagePullError as exc:
                failures.append(str(exc))
                continue
            found = await self.find(name)
            if found is None:
                raise ImagePullError(f"{name} was pulled and is gone again")
            return found
        different = list(dict.fromkeys(failures))
        raise ImagePullError(different[0] if len(different) == 1 else f"[{', '.join(different)}]")

    async def _pull_once(self, name: str, auth_header: str, progress: Progress) -> None:
        repository, tag = parse_repository_tag(name)
        stream = PullStream(name)
        async with self._streaming.open(
            "POST",
            "/images/create",
            params={"fromImage": repository, "tag": tag or "latest"},  # without a tag, Docker pulls them all
            headers={"X-Registry-Auth": auth_header} if auth_header else None,
            pulling=True,
        ) as content:
            async for chunk in content.iter_any():
                if stream.feed(chunk):
                    progress(stream.progress)

    async def _auth_headers(self, name: str, auths: Sequence[RegistryAuth]) -> list[str]:
        given = [_auth_header(one) for one in auths]
        own = await asyncio.to_thread(self._logins.header, name)
        return list(dict.fromkeys((*given, own) if own else given or ("",)))


class _Pull:
    """One pull and those who wait for it."""

    def __init__(self, work: Callable[[Progress], Coroutine[None, None, ImageInfo]], name: str) -> None:
        self._waiting: list[Progress] = []
        self._task = asyncio.get_running_loop().create_task(work(self._tell), name=name)

    @property
    def is_over(self) -> bool:
        return self._task.done()

    @property
    def is_deserted(self) -> bool:
        return not self._waiting

    async def join(self, progress: Progress) -> ImageInfo:
        self._waiting.append(progress)
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting.remove(progress)

    async def end(self) -> None:
        """Hang up, if it still runs."""
        self._task.cancel()
        await asyncio.wait({self._task})

    def _tell(self, progress: PullProgress) -> None:
        for listener in tuple(self._waiting):
            listener(progress)


def _auth_header(given: RegistryAuth) -> str:
    fields = {"identitytoken": given.token} if given.token else {"username": given.username, "password": given.password}
    return auth.encode_header(fields).decode()
