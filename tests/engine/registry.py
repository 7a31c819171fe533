"""An image registry with one image, on the loopback interface, where Docker takes it without TLS.

The part of the distribution API that ``docker pull`` needs (https://distribution.github.io/distribution/spec/api/).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_PIECE = 64 * 1024


class Registry:
    """``credentials`` are "user:password", "" for everybody. A layer slows down halfway until ``go_on`` is set."""

    def __init__(self, seed: bytes, size: int = 1 << 20, credentials: str = "") -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.halfway = asyncio.Event()
        self.hung_up = asyncio.Event()  # the engine has left before it had the whole layer
        self.refusals = 0
        self.manifest_requests = 0
        self._credentials = credentials
        layer = _layer(seed, size)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"User": "7:8", "Env": ["PULLED=yes"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        self._blobs = {_digest(layer): layer, _digest(config): config}
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _entry(config, "application/vnd.docker.container.image.v1+json"),
                "layers": [_entry(layer, "application/vnd.docker.image.rootfs.diff.tar")],
            }
        ).encode()
        self.port = 0

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.port}/test/image:1"

    @property
    def digest(self) -> str:
        return f"127.0.0.1:{self.port}/test/image@{_digest(self._manifest)}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if not self._may(request):
            self.refusals += 1
            error = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            return web.json_response(error, status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        match request.path.split("/")[2:]:
            case [""]:
                return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})
            case ["test", "image", "manifests", tag] if tag in ("1", _digest(self._manifest)):
                self.manifest_requests += request.method == "GET"
                headers = {"Docker-Content-Digest": _digest(self._manifest), "Content-Type": _MANIFEST}
                return web.Response(body=self._manifest, headers=headers)
            case ["test", "image", "blobs", digest] if digest in self._blobs:
                return await self._blob(request, self._blobs[digest])
        error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}
        return web.json_response(error, status=404)

    def _may(self, request: web.Request) -> bool:
        expected = "Basic " + base64.b64encode(self._credentials.encode()).decode()
        return not self._credentials or request.headers.get("Authorization") == expected

    async def _blob(self, request: web.Request, blob: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(blob))})
        await response.prepare(request)
        sent = 0
        try:
            while sent < len(blob):
                size = _PIECE
                if sent > len(blob) // 2 and not self.go_on.is_set():
                    self.halfway.set()
                    await asyncio.sleep(0.02)
                    size = 64  # a trickle: the engine sees only then that it is to hang up
                await response.write(blob[sent : sent + size])
                sent += size
        except (asyncio.CancelledError, ConnectionError):
            self.hung_up.set()
            raise
        return response


@asynccontextmanager
async def serving(registry: Registry) -> AsyncIterator[None]:
    runner = web.ServerRunner(web.Server(registry.serve, handler_cancellation=True), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    registry.port = runner.addresses[0][1]
    try:
        yield
    finally:
        await runner.cleanup()


def _layer(seed: bytes, size: int) -> bytes:
    """One file that differs for each seed, so that no engine has it already."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("data")
        entry.size = size
        archive.addfile(entry, io.BytesIO((hashlib.sha256(seed).digest() * (size // 32 + 1))[:size]))
    return buffer.getvalue()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _entry(blob: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}
