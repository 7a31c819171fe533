"""A Kubernetes API server in the test's own process: enough of one for what a kubelet asks of it, and its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from tests.fakes.api_store import ApiStore, Happening, Json, Key, RefusedError

PATIENCE = 10  # real seconds after which a test gives up waiting for something that should happen at once


class Asked(NamedTuple):
    """A request that came in. ``verb`` as permissions name it."""

    verb: str
    key: Key
    subresource: str
    query: dict[str, str]
    body: Any

    def __str__(self) -> str:
        kind = f"{self.key.plural}/{self.subresource}" if self.subresource else self.key.plural
        return f"{self.verb} {kind} {self.key.name}".strip()


class Fault(NamedTuple):
    """What becomes of the next ``times`` requests that match: an answer, or (status 0) a cut connection."""

    verb: str
    plural: str
    status: int
    times: int
    body: bytes | None


class Watch(NamedTuple):
    asked: Asked
    lines: asyncio.Queue[bytes | None]  # None ends it
    transport: asyncio.BaseTransport | None

    def tell(self, happening: Happening) -> None:
        if _in(self.asked.key, happening.key) and _selected(happening.object, self.asked.query):
            self.lines.put_nowait(_line(happening.type, {"kind": "Pod", "apiVersion": "v1"} | happening.object))


class FakeApiServer:
    """``asked`` is the journal of all requests; ``token`` the only bearer token it accepts, if set."""

    def __init__(self) -> None:
        self.store = ApiStore()
        self.store.changed = self._wake
        self.asked: list[Asked] = []
        self.token = ""
        self.stalled = False  # watches say nothing any more
        self.gone_in_stream = True  # 410 as an event of an answered watch, as the real one does, or as a status
        self.reviews: dict[str, Json] = {  # their status, by the name of their kind
            "tokenreviews": {"authenticated": False},
            "subjectaccessreviews": {"allowed": True},
        }
        self.served: dict[str, list[str]] = {}  # the kinds that a group's version is said to have
        self.unserved: set[str] = set()  # the groups' versions whose objects are not there any more
        self._faults: list[Fault] = []
        self._held: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._watches: list[Watch] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    # --- the test's controls ----------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def watches(self) -> int:
        """How many are open."""
        return len(self._watches)

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """An outage: nobody listens, and all connections are cut. What the store has stays."""
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def cut(self) -> None:
        """Cut every watch in the middle, as a restarting API server does."""
        for watch in self._watches:
            if isinstance(watch.transport, asyncio.Transport):
                watch.transport.abort()

    def end_watches(self) -> None:
        """End every watch in order, as its timeout does."""
        for watch in self._watches:
            watch.lines.put_nowait(None)

    def bookmark(self) -> None:
        """Tell every watch how far it has come."""
        metadata = {"resourceVersion": str(self.store.version)}
        for watch in self._watches:
            watch.lines.put_nowait(_line("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}))

    def fail(self, verb: str, plural: str, status: int, *, times: int = 1, body: bytes | None = None) -> None:
        self._faults.append(Fault(verb, plural, status, times, body))

    @asynccontextmanager
    async def holding(self, verb: str) -> AsyncIterator[None]:
        """Requests of this verb come in meanwhile, and are not answered before the end."""
        self._held[verb] = asyncio.Event()
        try:
            yield
        finally:
            self._held.pop(verb).set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is true that requests or changes of objects make true."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def count(self, *requests: str) -> int:
        """How many of these (``"patch pods/status web"``) came in."""
        return sum(str(asked) in requests for asked in self.asked)

    # --- the server -------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._changed.set()
        if self.store.history:
            for watch in self._watches:
                watch.tell(self.store.history[-1])

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = _understood(request, await request.read())
        self.asked.append(asked)
        self._changed.set()
        if asked.verb in self._held:
            await self._held[asked.verb].wait()
        try:
            self._check_token(request)
            self._check_version(request)
            fault = self._fault(asked)
            if fault is not None:
                return _faulty(request, fault)
            if asked.verb == "watch":
                return await self._watch(request, asked)
            return _answer(201 if asked.verb == "create" else 200, self._act(asked))
        except RefusedError as refusal:
            return _answer(refusal.code, refusal.status)

    def _check_token(self, request: web.Request) -> None:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "Unauthorized", "Unauthorized")

    def _check_version(self, request: web.Request) -> None:
        if "/".join(request.path.split("/")[2:4]) in self.unserved:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")

    def _fault(self, asked: Asked) -> Fault | None:
        for index, fault in enumerate(self._faults):
            if asked.verb == fault.verb and asked.key.plural == fault.plural:
                self._faults[index] = fault._replace(times=fault.times - 1)
                self._faults = [f for f in self._faults if f.times > 0]
                return fault
        return None

    def _act(self, asked: Asked) -> Json:
        store, key = self.store, asked.key
        if not key.plural:
            return self._version(key.name)
        if asked.verb == "get":
            return store.read(key)
        if asked.verb == "list":
            items = [raw for k, raw in sorted(store.objects.items()) if _in(key, k) and _selected(raw, asked.query)]
            version = {"resourceVersion": str(store.version)}
            return {"kind": f"{key.plural.capitalize()[:-1]}List", "apiVersion": "v1", "metadata": version} | {
                "items": items
            }
        if asked.verb == "create":
            if key.plural in self.reviews:
                return asked.body | {"status": self.reviews[key.plural]}
            return store.create(key, asked.body)
        if asked.verb == "update":
            return store.replace(key, asked.body)
        if asked.verb == "patch":
            return store.patch(key, asked.subresource, asked.body)
        return store.delete(key, asked.body or {})

    def _version(self, name: str) -> Json:
        if name not in self.served:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        return {"kind": "APIResourceList", "resources": [{"name": plural} for plural in self.served[name]]}

    async def _watch(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        version = int(asked.query.get("resourceVersion", "0"))
        too_old = version < self.store.oldest
        expired = RefusedError(410, "Expired", f"too old resource version: {version} ({self.store.oldest})")
        if too_old and not self.gone_in_stream:
            raise expired
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = Watch(asked, asyncio.Queue(), request.transport)
        if too_old:
            watch.lines.put_nowait(_line("ERROR", expired.status))
            watch.lines.put_nowait(None)
        for happening in self.store.history:
            if happening.version > version:
                watch.tell(happening)
        self._watches.append(watch)
        self._changed.set()
        try:
            while (line := await watch.lines.get()) is not None:
                if not self.stalled:
                    await response.write(line)
        finally:
            self._watches.remove(watch)
            self._changed.set()
        return response


def write_kubeconfig(path: Path, url: str, token: str = "") -> Path:
    """A kubeconfig for a fake server. It is JSON, which is YAML as well."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "fake", "user": {"token": token} if token else {}}],
    }
    path.write_bytes(msgspec.json.encode(config))
    return path


def _understood(request: web.Request, body: bytes) -> Asked:
    parts = request.path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) == 3:
        return Asked("get", Key("", "", "/".join(parts[1:])), "", {}, None)
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    query = dict(request.query)
    verbs = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    verb = "watch" if query.get("watch") == "true" else verbs[request.method]
    return Asked(verb, Key(plural, namespace, name), subresource, query, msgspec.json.decode(body) if body else None)


def _in(place: Key, key: Key) -> bool:
    return key.plural == place.plural and place.namespace in ("", key.namespace)


def _selected(raw: Json, query: dict[str, str]) -> bool:
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, wanted = term.partition("=")
        value: Any = raw
        for part in path.split("."):
            value = (value or {}).get(part)
        if value != wanted:
            return False
    return True


def _line(kind: str, raw: Json) -> bytes:
    return msgspec.json.encode({"type": kind, "object": raw}) + b"\n"


def _faulty(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.status == 0:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if fault.body is not None:
        return web.Response(status=fault.status, body=fault.body)
    reasons = {
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        410: "Expired",
        422: "Invalid",
        429: "TooManyRequests",
    }
    refusal = RefusedError(fault.status, reasons.get(fault.status, "InternalError"), "as the test wants it")
    return _answer(fault.status, refusal.status)


def _answer(status: int, raw: Json) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(raw), content_type="application/json")
