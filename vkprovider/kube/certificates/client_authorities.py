"""Who signs the certificates by which clients prove themselves to the cluster's servers, and so to its nodes."""

from __future__ import annotations

from vkprovider.errors import ApiNotFound
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import CONFIG_MAPS

NAMESPACE, NAME, KEY = "kube-system", "extension-apiserver-authentication", "client-ca-file"


async def client_authorities(api: ApiClient) -> str:
    """Their certificates in PEM, as the API server publishes them. Raises ApiError, also where it knows none."""
    place = CONFIG_MAPS.at(NAMESPACE, NAME)
    authorities: str = ((await api.get(place)).get("data") or {}).get(KEY, "")
    if not authorities:
        raise ApiNotFound(f"{place} has no {KEY}: the API server runs without one")
    return authorities
