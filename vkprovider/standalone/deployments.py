"""A Deployment without its controllers: its pods, which run until the run is ended.

There is no roll-out, since manifests do not change during a run, and no pod ends by itself: its policy is Always.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from vkprovider.standalone.identity import letters

TEMPLATE_HASH = "pod-template-hash"
_HASH = 9  # letters, as in echo-server-f8bdc5844


def deployment_pods(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pods of a Deployment that is complete, named as its ReplicaSet would name them."""
    template, metadata = raw["spec"]["template"], raw["metadata"]
    own = template.get("metadata") or {}
    name = metadata.get("name") or metadata["generateName"].rstrip("-")
    digest = letters(json.dumps(template, sort_keys=True), _HASH)
    for _ in range(raw["spec"]["replicas"]):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **copy.deepcopy(own),
                "generateName": f"{name}-{digest}-",
                "namespace": metadata["namespace"],
                "labels": {**(own.get("labels") or {}), TEMPLATE_HASH: digest},
            },
            "spec": copy.deepcopy(template["spec"]),
        }
