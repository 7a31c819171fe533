"""The authorities that pods are told to trust: what of ClusterTrustBundles goes into a file.

pkg/kubelet/clustertrustbundle/clustertrustbundle_manager.go. A kubelet shuffles them, so that nobody relies on an
order; here they are in the order of their bytes, so that what has not changed is not written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vkprovider.core.objects import Objects, content_of
from vkprovider.errors import SpecError
from vkprovider.model.pem import certificates, in_pem
from vkprovider.model.refs import ObjectRef
from vkprovider.model.selectors import selects
from vkprovider.model.volume import TrustBundleProjection

BUNDLE = "ClusterTrustBundle"
BUNDLES_OF_SIGNER = "ClusterTrustBundleList"  # all of the signer that the reference names


def bundle_ref(source: TrustBundleProjection) -> ObjectRef:
    """What the file is made from: one bundle, or all of a signer."""
    if source.name is not None:
        return ObjectRef(BUNDLE, "", source.name)
    return ObjectRef(BUNDLES_OF_SIGNER, "", source.signer_name or "")


def trust_anchors(source: TrustBundleProjection, objects: Objects) -> bytes:
    """The content of the file. Raises VkError where there is none that the pod could do with."""
    ref = bundle_ref(source)
    raw = content_of(ref, objects, optional=True)
    if source.name is not None:
        if not raw and not source.optional:
            missing = f'clustertrustbundle.certificates.k8s.io "{source.name}" not found'
            raise SpecError(f"while getting ClusterTrustBundle: {missing}")
        return _anchors([raw])
    chosen = [bundle for bundle in raw.get("items") or () if _selects(source, bundle)]
    if not chosen and not source.optional:
        raise SpecError("combination of signerName and labelSelector matched zero ClusterTrustBundles")
    return _anchors(chosen)


def _selects(source: TrustBundleProjection, bundle: Mapping[str, Any]) -> bool:
    if source.label_selector is None or bundle["spec"].get("signerName") != source.signer_name:
        return False
    return selects(source.label_selector, bundle["metadata"].get("labels") or {})


def _anchors(bundles: Iterable[Mapping[str, Any]]) -> bytes:
    texts = ((bundle.get("spec") or {}).get("trustBundle") or "" for bundle in bundles)
    return in_pem(sorted({anchor for text in texts for anchor in certificates(text)}))
