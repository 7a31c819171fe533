"""The network actions that probes and hooks are made of: an HTTP GET and a TCP connect.

What an answer means is for ``prober`` and ``hooks`` to say. Failures are worded as Go words them, because that is
what users know from the kubelet and what tools match on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from vkprovider.errors import VkError
from vkprovider.model.probe import HTTPGetAction, TCPSocketAction

KUBERNETES_VERSION = "1.34"  # whose kubelet the User-Agent names
MAX_REQUESTS = 10  # the first one and nine redirects (pkg/probe/http/http.go RedirectChecker)

Ports = Sequence[tuple[str, int]]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_URL_SAFE = "/%?#:@!$&'()*+,;=[]~"
# Set from the connection, never from the spec (net/http reqWriteExcludeHeader).
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "trailer"})


class UnusableActionError(VkError):
    """The action could not even be tried: an undeclared port name, a port out of range, a pod without an IP."""

    reason = "UnusableAction"


class NoAnswerError(VkError):
    """Nothing came back: refused, timed out, cut off, or no HTTP. The message is Go's."""

    reason = "NoAnswer"


class NotTLSError(NoAnswerError):
    """The other side does not speak TLS."""

    reason = "NotTLS"


def address(action: HTTPGetAction | TCPSocketAction, pod_ip: str, ports: Ports) -> tuple[str, int]:
    """The host and port an action goes to; ``ports`` are the container's own, by name.

    Raises UnusableActionError (pkg/probe/util.go ResolveContainerPort).
    """
    host = action.host or pod_ip
    if not host:
        raise UnusableActionError("the pod has no IP")
    port = action.port if isinstance(action.port, int) else dict(ports).get(action.port)
    if port is None:
        raise UnusableActionError(f'port "{action.port}" not found')
    if not 0 < port < 65536:
        raise UnusableActionError(f"invalid port number: {port}")
    return host, port


async def tcp_connect(action: TCPSocketAction, pod_ip: str, ports: Ports, timeout: float) -> None:
    """Connect and hang up. Raises NoAnswerError or UnusableActionError."""
    host, port = address(action, pod_ip, ports)
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError as exc:
        raise NoAnswerError(f"dial tcp {netloc(host, port)}: i/o timeout") from exc
    except OSError as exc:
        raise NoAnswerError(_dial_failure(host, port, exc)) from exc
    writer.close()
    with suppress(OSError):  # the other side may have hung up first, and harder
        await writer.wait_closed()


@asynccontextmanager
async def http_get(
    action: HTTPGetAction, pod_ip: str, ports: Ports, purpose: str, deadline: float | None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET, and give the response once its headers are in, its body unread.

    Redirects to the same host are followed; one to another host is the answer. ``purpose`` is "probe" or "lifecycle";
    ``deadline`` is in the event loop's time. No proxy, no cookies, no keep-alive, and no look at certificates.
    Raises NoAnswerError or UnusableActionError.
    """
    url = _url(action, pod_ip, ports)
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise UnusableActionError(f"{url}: {exc}") from exc
    headers = _headers(action, purpose)
    headers.setdefault("Host", parts.netloc)
    async with _session() as session:
        for _ in range(MAX_REQUESTS):
            response = await _send(session, url, headers, deadline)
            with closing(response):
                location = response.headers.get("Location") if response.status in _REDIRECTS else None
                target = _resolve(url, location) if location else None
                if location is None or target is None or urlsplit(target).hostname != parts.hostname:
                    yield response
                    return
            if urlsplit(location).netloc:  # a relative one keeps the Host header the spec gave
                headers["Host"] = urlsplit(target).netloc
            url = target
        raise NoAnswerError(f'Get "{location}": stopped after {MAX_REQUESTS} redirects')


def netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _url(action: HTTPGetAction, pod_ip: str, ports: Ports) -> str:
    path = quote(action.path, safe=_URL_SAFE)
    slash = "/" if path and not path.startswith("/") else ""
    return f"{action.scheme.lower()}://{netloc(*address(action, pod_ip, ports))}{slash}{path}"


def _headers(action: HTTPGetAction, purpose: str) -> CIMultiDict[str]:
    """The headers of the spec, with the defaults of pkg/probe/http/request.go; "" leaves a default header out."""
    given = CIMultiDict((h.name, h.value) for h in action.http_headers)
    headers = CIMultiDict((k, v) for k, v in given.items() if k.lower() not in _OWN_HEADERS)
    defaults = {"User-Agent": f"kube-{purpose}/{KUBERNETES_VERSION}", "Accept": "*/*", "Connection": "close"}
    for name, default in defaults.items():
        if not headers.setdefault(name, default):
            del headers[name]
    if given.get("Host"):
        headers["Host"] = given["Host"]
    return headers


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        auto_decompress=False,
    )


async def _send(
    session: aiohttp.ClientSession, url: str, headers: CIMultiDict[str], deadline: float | None
) -> aiohttp.ClientResponse:
    try:
        async with asyncio.timeout_at(deadline):
            return await session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
    except TimeoutError as exc:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise NoAnswerError(f'Get "{url}": {why}') from exc
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        error = NotTLSError if _no_tls(exc) else NoAnswerError
        raise error(f'Get "{url}": {_failure(url, exc)}') from exc


def _resolve(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as exc:
        raise NoAnswerError(f'Get "{url}": failed to parse Location header "{location}": {exc}') from exc


def _no_tls(exc: Exception) -> bool:
    return (
        isinstance(exc, aiohttp.ClientConnectorSSLError)
        and isinstance(exc.os_error, ssl.SSLError)
        and exc.os_error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
    )


def _failure(url: str, exc: Exception) -> str:
    """What went wrong with a request, as net/http says it."""
    if _no_tls(exc):
        return "http: server gave HTTP response to HTTPS client"
    match exc:
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {exc.host}: no such host"
        case aiohttp.ClientConnectorSSLError():
            return f"tls: {exc.os_error.strerror or exc.os_error}"
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError() as cut):  # while TLS was being agreed on
            return _cut_off(url, cut)
        case aiohttp.ClientConnectorError():
            return _dial_failure(exc.host or "", exc.port or 0, exc.os_error)
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientResponseError():
            return "net/http: HTTP/1.x transport connection broken: malformed HTTP response"
        case OSError():
            return _cut_off(url, exc)
        case _:
            return str(exc)


def _cut_off(url: str, exc: OSError) -> str:
    return f"read tcp {urlsplit(url).netloc}: read: {os.strerror(exc.errno).lower()}" if exc.errno else "EOF"


def _dial_failure(host: str, port: int, exc: OSError) -> str:
    if isinstance(exc, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    why = f"connect: {os.strerror(exc.errno).lower()}" if exc.errno else str(exc)
    return f"dial tcp {netloc(host, port)}: {why}"
