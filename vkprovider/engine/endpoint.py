"""Where the engine is: found as the ``docker`` command finds it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env, parse_host

from vkprovider.errors import EngineUnavailable

CONNECT_SECONDS = 30
NO_ENGINE = (  # what a user is told who has none
    "Is it running? Start it with 'systemctl start docker' or 'dockerd', or name another in DOCKER_HOST. "
    "A user without root has to be in the group docker."
)


class Endpoint:
    """An engine's address and the TLS files to reach it with. ``url`` is as docker-py writes it (http+unix://...)."""

    def __init__(self, url: str, tls: TLSConfig | None = None) -> None:
        self.url = url
        self.tls = tls

    @property
    def socket_path(self) -> str:
        """The path of the engine's socket on this machine, "" if it is reached over the network."""
        return self.url.removeprefix("http+unix://") if self.url.startswith("http+unix://") else ""

    def client(self, version: str = "auto", timeout: float = 30.0) -> docker.APIClient:
        """A client for one thread; version "auto" asks the engine which it speaks. Raises DockerException."""
        client = docker.APIClient(
            base_url=self.url,
            version=version,
            timeout=timeout,  # type: ignore[arg-type]  # the stubs know of whole seconds only
            tls=self.tls or False,
        )
        client.trust_env = False  # no proxy stands between a node and its engine, and nothing is to be looked up
        return client

    def session(self) -> aiohttp.ClientSession:
        """A session for streams, which have no limit in number or time. To be made within the event loop."""
        if self.socket_path:
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(self.socket_path, limit=0)
        else:
            connector = aiohttp.TCPConnector(limit=0, ssl=tls_context(self.tls) if self.tls else True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        return aiohttp.ClientSession(self.stream_base, connector=connector, timeout=timeout)

    @property
    def stream_base(self) -> str:
        return "http://engine" if self.socket_path else self.url


def find_endpoint(base_url: str = "", environ: Mapping[str, str] | None = None) -> Endpoint:
    """The address that was given, else DOCKER_HOST, else the chosen Docker context, else the usual socket.

    Raises EngineUnavailable where none of these names an engine that containers on this machine could be run by.
    """
    environ = os.environ if environ is None else environ
    try:
        from_env = kwargs_from_env(dict(environ))
        if base_url:
            found: Mapping[str, Any] = from_env | {"base_url": base_url}
        elif from_env.get("base_url"):
            found = from_env
        else:
            found = _context(environ) | {key: value for key, value in from_env.items() if key == "tls"}
        tls = found.get("tls")
        url: str = parse_host(found["base_url"], tls=tls is not None)
    except (DockerException, OSError, ValueError) as exc:
        raise EngineUnavailable(f"no Docker engine is configured: {exc}") from exc
    if url.startswith(("ssh://", "npipe://")):
        raise EngineUnavailable(f"{url}: volumes are directories of this machine, so the engine must run on it too")
    return Endpoint(url, tls if url.startswith("https://") else None)


def _context(environ: Mapping[str, str]) -> dict[str, Any]:
    """The context named by DOCKER_CONTEXT, else the current one of the user's Docker configuration."""
    context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT") or None)
    if context is None or not context.Host:
        raise EngineUnavailable("no Docker engine is configured: the chosen Docker context does not exist")
    found: dict[str, Any] = {"base_url": context.Host}
    if context.TLSConfig is not None:
        found["tls"] = context.TLSConfig
    return found


def tls_context(tls: TLSConfig) -> ssl.SSLContext:
    """What docker-py makes of these files, for streams. Reads them."""
    context = ssl.create_default_context(cafile=tls.ca_cert if tls.verify else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(*tls.cert)
    return context
