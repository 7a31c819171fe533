"""TLS by what is in files, as it is there now."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import structlog

from vkprovider.ports import Clock
from vkprovider.server.certificates import Pair, ends, server_context
from vkprovider.server.refusals import ServerError

LOOK_SECONDS = 1.0  # between looks at the files, however many clients come
log = structlog.get_logger()
_Stamp = tuple[int, int, int] | None


class ServerTls:
    """Our certificate is the first of ``pairs`` that is there. ``authorities`` is the file of those who sign clients'.

    ``ends`` is when the certificate does that clients are shown. The files are looked at when a client comes, so that
    certificates may be renewed, and authorities change, at any time. Blocks. Raises ServerError where they cannot be
    used from the start; later, what was good goes on.
    """

    def __init__(self, pairs: Sequence[Pair], authorities: Path, clock: Clock) -> None:
        self._pairs = pairs
        self._authorities = authorities
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._stamps = self._stamp()
        self._context = self._load()

    async def context(self) -> ssl.SSLContext:
        """For the next client."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            await asyncio.to_thread(self._look)
        return self._context

    def _look(self) -> None:
        stamps = self._stamp()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._context = self._load()
        except ServerError as exc:  # perhaps one of two files is not yet written
            log.warning("changed certificates are not taken up, the old ones go on", error=str(exc))
        else:
            log.info("changed certificates are taken up")

    def _load(self) -> ssl.SSLContext:
        pair = next((pair for pair in self._pairs if pair.certificate.exists()), self._pairs[-1])
        try:
            authorities = self._authorities.read_text()
        except FileNotFoundError:
            authorities = ""
        except (OSError, ValueError) as exc:
            raise ServerError(f"the authority of client certificates cannot be read: {exc}") from exc
        context = server_context(pair, authorities)
        self.ends = ends(pair)
        return context

    def _stamp(self) -> list[_Stamp]:
        return [_stamp(path) for path in (self._authorities, *(path for pair in self._pairs for path in pair))]


def _stamp(path: Path) -> _Stamp:
    """Another one whenever the file is another one, or has changed."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
