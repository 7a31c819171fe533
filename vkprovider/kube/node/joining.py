"""Becoming known to a cluster: with credentials that are given, or with a certificate that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import structlog

from vkprovider.config import BRINGS_CLUSTER, ConfigError
from vkprovider.errors import ApiForbidden, ApiNotFound
from vkprovider.kube.backoff import BackOff
from vkprovider.kube.certificates.client import ClientCertificate
from vkprovider.kube.client import Answered, ApiClient
from vkprovider.kube.insistence import insist
from vkprovider.kube.node.settings import NodeSettings
from vkprovider.kube.resources import Resource
from vkprovider.ports import WaitingClock

REVIEWS = Resource("selfsubjectreviews", "authentication.k8s.io")
NODES_GROUP = "system:nodes"
LONGEST_PAUSE = 7.0  # seconds between tries

log = structlog.get_logger()


class Membership:
    """The cluster's API, as this node has access to it, by a ``certificate`` of its own or without one. ``keep`` that
    access by running it.
    """

    def __init__(self, api: ApiClient, certificate: ClientCertificate | None = None) -> None:
        self.api = api
        self.certificate = certificate

    async def keep(self) -> None:
        """Renew what has to be renewed, for ever; return if there is nothing."""
        if self.certificate is not None:
            await self.certificate.keep(self.api)

    async def aclose(self) -> None:
        await self.api.aclose()
        if self.certificate is not None:
            await self.certificate.aclose()


async def join(
    settings: NodeSettings, directory: Path, clock: WaitingClock, answered: Answered | None = None
) -> tuple[Membership, NodeSettings]:
    """Access to the cluster, and the settings with ``node_restriction`` as it is there. Takes as long as it takes.

    Certificates are kept in ``directory``; ``answered`` is told of every request. Raises ApiUnauthorized where a
    kubeconfig is none, and ConfigError.
    """
    certificate, kubeconfig = None, settings.kubeconfig
    if settings.bootstrap_kubeconfig:
        certificate = ClientCertificate(directory, settings.name, settings.bootstrap_kubeconfig, clock)
        kubeconfig = certificate.kubeconfig
    member = Membership(ApiClient(clock, kubeconfig, settings.context, answered), certificate)
    try:
        if certificate is not None:
            await certificate.obtain()
        await member.api.server()
        restricted = await _is_node(member.api, settings.name, clock)
        return member, msgspec.structs.replace(settings, node_restriction=restricted)
    except ImportError as exc:
        await member.aclose()
        raise ConfigError(f"{exc}: {BRINGS_CLUSTER}") from exc
    except BaseException:
        await member.aclose()
        raise


async def _is_node(api: ApiClient, name: str, clock: WaitingClock) -> bool:
    """Whether the API server takes us for the node ``name`` and not, say, for a service account.

    It then lets us see and do less than any role would say (plugin/pkg/admission/noderestriction).
    """
    question = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    user: dict[str, Any] = {}

    async def ask() -> None:
        try:
            review = await api.create(REVIEWS.at(), question)
        except (ApiNotFound, ApiForbidden):  # before 1.28, and where not everybody may ask
            return
        user.update(review["status"]["userInfo"])

    await insist(ask, BackOff("who this node is to the API server", clock, LONGEST_PAUSE))
    log.info("the API server knows us", user=user.get("username", "by a name that it does not tell"))
    return user.get("username") == f"system:node:{name}" and NODES_GROUP in user.get("groups", ())
