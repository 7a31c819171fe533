"""The apps/v1 Deployment as a run without a cluster reads it: how many pods, and of which template.

``decode_deployment`` is the one way in; the raw object rides along as ``raw``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vkprovider.model.base import Model
from vkprovider.model.job import PodTemplateSpec
from vkprovider.model.pod import ObjectMeta, read_as
from vkprovider.model.selectors import LabelSelector


class DeploymentSpec(Model, frozen=True, kw_only=True):
    template: PodTemplateSpec
    replicas: int = 1
    selector: LabelSelector | None = None


class Deployment(Model, frozen=True, kw_only=True):
    spec: DeploymentSpec
    metadata: ObjectMeta = ObjectMeta()
    raw: dict[str, Any] = {}


def decode_deployment(raw: dict[str, Any]) -> Deployment:
    """Read an apps/v1 Deployment from its JSON form. Raises SpecError with the field's path."""
    read = {key: value for key, value in raw.items() if key != "raw"}
    return msgspec.structs.replace(read_as(Deployment, read), raw=raw)
