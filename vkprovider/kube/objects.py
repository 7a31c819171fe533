"""The ConfigMaps and Secrets that pods refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vkprovider.errors import ApiNotFound
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import CONFIG_MAPS, SECRETS
from vkprovider.model.refs import ObjectRef

_RESOURCES = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}


class KubeObjects:
    """The ``ObjectStore`` of a cluster: asks for each object when it is needed."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def get(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        """The raw object, or None if it does not exist. Raises ApiError if that cannot be known now."""
        try:
            return await self._api.get(_RESOURCES[ref.kind].at(ref.namespace, ref.name))
        except ApiNotFound:
            return None
