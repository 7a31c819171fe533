"""What the API server says of those who ask something of the node: who they are, and what they may do there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vkprovider.errors import ApiUnavailable
from vkprovider.kube.resources import Resource, ResourcePath
from vkprovider.model.access import User
from vkprovider.ports import WaitingClock

TOKEN_REVIEWS = Resource("tokenreviews", "authentication.k8s.io")
ACCESS_REVIEWS = Resource("subjectaccessreviews", "authorization.k8s.io")
PAUSES = (0.5, 0.75, 1.125, 1.6875)  # seconds (apiserver, pkg/server/options DefaultAuthWebhookRetryBackoff)

Json = dict[str, Any]


class Reviewers(Protocol):
    """What of the API server this needs, as ``ApiClient`` gives it."""

    async def create(self, place: ResourcePath, body: Mapping[str, Any]) -> Json: ...


class ClusterReviews:
    """``AccessReviews`` for the node of a name. An API server that is busy or away is asked again, for some seconds."""

    def __init__(self, api: Reviewers, node: str, clock: WaitingClock) -> None:
        self._api = api
        self._node = node
        self._clock = clock

    async def user(self, token: str) -> User | None:
        status = await self._review(TOKEN_REVIEWS, "TokenReview", {"token": token})
        found = status.get("user") or {}
        if not status.get("authenticated") or not found.get("username"):
            return None
        return User(
            name=found["username"],
            uid=found.get("uid", ""),
            groups=tuple(found.get("groups") or ()),
            extra=tuple((key, tuple(values)) for key, values in sorted((found.get("extra") or {}).items())),
        )

    async def allows(self, user: User, verb: str, subresource: str) -> bool:
        attributes = {
            "verb": verb,
            "version": "v1",
            "resource": "nodes",
            "subresource": subresource,
            "name": self._node,
        }
        spec = {
            "resourceAttributes": attributes,
            "user": user.name,
            "uid": user.uid,
            "groups": user.groups,
            "extra": dict(user.extra),
        }
        status = await self._review(ACCESS_REVIEWS, "SubjectAccessReview", spec)
        return bool(status.get("allowed")) and not status.get("denied")

    async def _review(self, kind: Resource, name: str, spec: Mapping[str, Any]) -> Json:
        body = {"apiVersion": f"{kind.group}/{kind.version}", "kind": name, "spec": spec}
        for pause in PAUSES:
            try:
                return _status(await self._api.create(kind.at(), body))
            except ApiUnavailable as exc:
                await self._clock.sleep(max(pause, exc.retry_after))
        return _status(await self._api.create(kind.at(), body))


def _status(review: Json) -> Json:
    status: Json = review.get("status") or {}
    return status
