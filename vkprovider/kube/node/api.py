"""What of the API server the node itself needs, as ``ApiClient`` gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vkprovider.kube.resources import Resource, ResourcePath

LEASES = Resource("leases", "coordination.k8s.io")

Json = dict[str, Any]


class Api(Protocol):
    """Raw JSON in and out; every method raises ApiError or one of its kinds."""

    async def get(self, place: ResourcePath) -> Json: ...

    async def create(self, place: ResourcePath, body: Mapping[str, Any]) -> Json: ...

    async def patch(self, place: ResourcePath, body: Mapping[str, Any], content_type: str) -> Json: ...
