"""ClusterTrustBundles that pods need and that the manifests do not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vkprovider.core.trust_anchors import bundle_ref, trust_anchors
from vkprovider.errors import SpecError
from vkprovider.model.findings import Finding
from vkprovider.model.pod import PodSpec
from vkprovider.model.refs import ObjectRef
from vkprovider.model.volume import TrustBundleProjection
from vkprovider.standalone.objects import bundles_of, object_ref

Bundles = Sequence[Mapping[str, Any]]


def untrusted(spec: PodSpec, path: str, bundles: Bundles) -> Iterator[Finding]:
    """A finding for each source that is not optional and would have nothing."""
    for place, volume in enumerate(spec.volumes):
        for number, source in enumerate(volume.projected.sources if volume.projected is not None else ()):
            if source.cluster_trust_bundle is not None:
                at = f"{path}.volumes[{place}].projected.sources[{number}].clusterTrustBundle"
                yield from _unmet(source.cluster_trust_bundle, at, bundles)


def _unmet(source: TrustBundleProjection, path: str, bundles: Bundles) -> Iterator[Finding]:
    ref = bundle_ref(source)
    try:
        trust_anchors(source, {ref: _found(ref, source, bundles)})
    except SpecError as exc:
        yield Finding(path, f"{exc}: there are no others than those in the manifests")


def _found(ref: ObjectRef, source: TrustBundleProjection, bundles: Bundles) -> Mapping[str, Any] | None:
    if source.name is None:
        return bundles_of(ref.name, bundles)
    return next((raw for raw in bundles if object_ref(raw) == ref), None)
