"""Kinds of objects that API servers have in one version or another, and many of them not at all."""

from __future__ import annotations

from collections.abc import Sequence

from vkprovider.errors import ApiError, ApiNotFound
from vkprovider.kube.client import ApiClient
from vkprovider.kube.resources import Resource

_CERTIFICATES = "certificates.k8s.io"
TRUST_BUNDLES = [Resource("clustertrustbundles", _CERTIFICATES, each) for each in ("v1", "v1beta1", "v1alpha1")]
CERTIFICATE_REQUESTS = [Resource("podcertificaterequests", _CERTIFICATES, each) for each in ("v1beta1", "v1alpha1")]


def others(kind: Resource) -> list[Resource]:
    """The other versions that API servers may have of a kind: an upgrade may end the one that was found."""
    versions = next((each for each in (TRUST_BUNDLES, CERTIFICATE_REQUESTS) if kind in each), [])
    return [each for each in versions if each != kind]


async def served(api: ApiClient, versions: Sequence[Resource]) -> Resource:
    """The first of the versions that the API server has. Raises ApiError where it has none, or does not say."""
    for resource in versions:
        try:
            found = await api.get(Resource("", resource.group, resource.version).at())
        except ApiNotFound:
            continue
        if any(each["name"] == resource.plural for each in found["resources"]):
            return resource
    newest, *_ = versions
    raise ApiError(
        f"the API server has no {newest.plural}.{newest.group}: "
        "whoever runs it has to enable their feature gate, and their version by --runtime-config"
    )
