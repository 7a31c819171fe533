"""Who signs the certificates by which clients prove themselves to the cluster's servers, and so to its nodes."""

from __future__ import annotations

from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import CONFIG_MAPS

NAMESPACE, NAME, KEY = "kube-system", "extension-apiserver-authentication", "client-ca-file"


async def client_authorities(api: ApiClient) -> str:
    """Their certificates in PEM, as the API server publishes them; "" where it knows none. Raises ApiError."""
    found = await api.get(CONFIG_MAPS.at(NAMESPACE, NAME))
    authorities: str = found.get("data", {}).get(KEY, "")
    return authorities
