"""Whether a Deployment makes sense, as the API server would judge it: pkg/apis/apps/validation/validation.go."""

from __future__ import annotations

from collections.abc import Iterator

from vkprovider.model.deployment import Deployment, DeploymentSpec
from vkprovider.model.findings import Finding, forbidden, invalid, not_negative, one_of, required
from vkprovider.model.selectors import is_empty, selector_findings, selects
from vkprovider.model.validation import marks_findings, metadata_findings, spec_findings

_TEMPLATE = "spec.template.spec"


def deployment_findings(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with a Deployment that is to be created, its defaults filled in."""
    spec = deployment.spec
    yield from metadata_findings(deployment.metadata)
    yield from not_negative("spec.replicas", spec.replicas)
    yield from _selector(spec)
    yield from marks_findings(spec.template.metadata, "spec.template.metadata")
    yield from one_of(f"{_TEMPLATE}.restartPolicy", spec.template.spec.restart_policy, ("Always",))
    if spec.template.spec.active_deadline_seconds is not None:
        yield forbidden(f"{_TEMPLATE}.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicaSet is not Supported")
    for finding in spec_findings(spec.template.spec, _TEMPLATE):
        if finding.path != f"{_TEMPLATE}.restartPolicy":
            yield finding


def _selector(spec: DeploymentSpec) -> Iterator[Finding]:
    if spec.selector is None:
        yield required("spec.selector")
        return
    yield from selector_findings(spec.selector, "spec.selector")
    if is_empty(spec.selector):
        yield invalid("spec.selector", {}, "empty selector is invalid for deployment")
    elif not selects(spec.selector, spec.template.metadata.labels):
        rule = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", spec.template.metadata.labels, rule)
