"""Whether a ClusterTrustBundle makes sense: pkg/apis/certificates/validation ValidateClusterTrustBundleCreate, but for
what the certificates themselves say.
"""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.model import names
from vkprovider.model.findings import Finding, each, invalid, required
from vkprovider.model.manifest import TrustBundleManifest
from vkprovider.model.pem import certificates
from vkprovider.model.validation import marks_findings


def trust_bundle_findings(bundle: TrustBundleManifest) -> Iterator[Finding]:
    name, spec = bundle.metadata.name, bundle.spec
    prefix = spec.signer_name.replace("/", ":") + ":"
    if not name:
        yield required("metadata.name")
    elif not spec.signer_name and ":" in name:
        yield invalid("metadata.name", name, 'ClusterTrustBundle without signer name must not have ":" in its name')
    elif spec.signer_name and not name.startswith(prefix):
        rule = f"ClusterTrustBundle for signerName {spec.signer_name} must be named with prefix {prefix}"
        yield invalid("metadata.name", name, rule)
    else:
        yield from each("metadata.name", name, names.bundle(name))
    yield from marks_findings(bundle.metadata, "metadata")
    if spec.signer_name:
        yield from each("spec.signerName", spec.signer_name, names.signer_name(spec.signer_name))
    if not any(certificates(spec.trust_bundle)):
        yield invalid("spec.trustBundle", spec.trust_bundle, "at least one trust anchor must be provided")
