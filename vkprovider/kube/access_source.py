"""The kubeconfig or the service account, read through ``kubernetes.aio``. All of it blocks.

This module is the only one that imports the package, and is itself imported late and in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import kubernetes.aio.config.incluster_config as incluster_config_
import kubernetes.aio.config.kube_config as kube_config_
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from vkprovider.errors import ApiUnauthorized
from vkprovider.kube.access import Access, Connections

PLUGIN_SECONDS = 60.0  # a credential plugin may ask an identity provider
incluster_config: Any = incluster_config_  # the package has no types for these
kube_config: Any = kube_config_


class Source:
    """Where access comes from; see ``Credentials``."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._context = context or None
        in_cluster = bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
        self._kubeconfig = kubeconfig or ("" if in_cluster else str(Path.home() / ".kube" / "config"))
        self._instead = "" if kubeconfig else ": give --kubeconfig FILE; to a node of a kind cluster, --kind"
        self._loader: Any = None

    def __str__(self) -> str:
        return f"kubeconfig {self._kubeconfig}" if self._kubeconfig else "the service account of this pod"

    def load(self, before: Access | None, fresh: bool) -> Access:
        """Access as it is now: from scratch where it is to be ``fresh``, else only what may have been renewed.

        Raises ApiUnauthorized.
        """
        try:
            return self._load(before, fresh)
        except Exception as exc:  # the package raises whatever it stumbles over
            raise ApiUnauthorized(f"{self}: {_reason(exc)}") from exc

    def cluster(self) -> dict[str, Any]:
        """The cluster that a kubeconfig leads to, as in another kubeconfig: it needs no other file.

        Raises ApiUnauthorized.
        """
        try:
            loader = self._new_loader()
            loader._load_cluster_info()
            entry = dict(loader._cluster.value)
            if loader.__dict__.get("ssl_ca_cert"):
                entry.pop("certificate-authority", None)
                entry["certificate-authority-data"] = b64encode(Path(loader.ssl_ca_cert).read_bytes()).decode()
            return entry
        except Exception as exc:  # the package raises whatever it stumbles over
            raise ApiUnauthorized(f"{self}: {_reason(exc)}") from exc

    def _load(self, before: Access | None, fresh: bool) -> Access:
        if self._loader is None or fresh or not self._kubeconfig:
            self._loader = self._new_loader()
        elif before is not None and _has_plugin(self._loader) and not hasattr(self._loader, "exec_plugin_expiry"):
            return before  # what a plugin gives without a date is good until it is refused
        configuration: Any = Configuration()
        configuration.connection_pool_maxsize = 0  # every watch holds a connection, and there is no telling how many
        configuration.client_session_kwargs = {"trust_env": False}  # or it would read ~/.netrc for every request
        self._fill_in(configuration)
        if not configuration.host:
            raise ValueError("it names no server")
        authorization, trust = configuration.api_key.get("BearerToken", "").strip(), _digest(configuration)
        same = before is not None and before.trust == trust
        rest = before.rest if before is not None and same else Connections(RESTClientObject(configuration))
        return Access(rest=rest, server=configuration.host, authorization=authorization, trust=trust)

    def _new_loader(self) -> Any:
        if not self._kubeconfig:
            if self._context:
                raise ValueError("it has no contexts: give --kubeconfig FILE with --context")
            return incluster_config.InClusterConfigLoader(
                incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME, try_refresh_token=False
            )
        files = [os.path.expanduser(path) for path in self._kubeconfig.split(os.pathsep) if path]
        if not any(os.path.exists(path) for path in files):
            raise FileNotFoundError(f"it does not exist{self._instead}")
        merged = kube_config.KubeConfigMerger(os.pathsep.join(files))
        return kube_config.KubeConfigLoader(merged.config, self._context, config_base_path=None)

    def _fill_in(self, configuration: Any) -> None:
        if not self._kubeconfig:
            self._loader.load_and_set(configuration)
        else:
            with _overhear("kubernetes.aio.config.kube_config") as complaints:
                asyncio.run(asyncio.wait_for(self._loader.load_and_set(configuration), PLUGIN_SECONDS))
            if _has_plugin(self._loader) and not configuration.api_key and not configuration.cert_file:
                raise ValueError(f"its credential plugin gave no credentials: {'; '.join(complaints)}")
        if not configuration.proxy:
            configuration.proxy = _proxy(configuration.host)


def _has_plugin(loader: Any) -> bool:
    user = loader._user
    return user is not None and "exec" in user


@contextmanager
def _overhear(logger_name: str) -> Iterator[list[str]]:
    """What a logger says meanwhile: the package logs a plugin's failure and raises nothing."""
    logger, said = logging.getLogger(logger_name), list[str]()
    ear = logging.Handler(logging.WARNING)
    ear.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(ear)
    propagated, logger.propagate = logger.propagate, False
    try:
        yield said
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagated


def _proxy(server: str) -> str | None:
    """The proxy that the environment asks for, as HTTPS_PROXY and NO_PROXY say it."""
    url = urlsplit(server)
    if not url.hostname or proxy_bypass(url.hostname):
        return None
    return getproxies().get(url.scheme)


def _digest(configuration: Any) -> str:
    facts = (configuration.host, configuration.verify_ssl, configuration.tls_server_name, configuration.proxy)
    digest = hashlib.sha256(repr(facts).encode())
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        digest.update(Path(path).read_bytes() if path else b"-")
    return digest.hexdigest()


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return f"its credential plugin has not answered for {PLUGIN_SECONDS:.0f} s"
    words = " ".join(str(exc).split())
    if isinstance(exc, TypeError | AttributeError | LookupError):
        return f"it is not a kubeconfig ({words})"
    return words or type(exc).__name__
