"""Pods as the API server has them."""

from __future__ import annotations

from typing import Any

NODE = "node"


def pod(name: str, *, uid: str = "", **sections: Any) -> dict[str, Any]:
    """A pod bound to the node. ``sections`` are merged into metadata, spec and status, one level deep."""
    metadata = {"name": name, "namespace": "default", "generation": 1, "creationTimestamp": "2026-01-01T11:00:00Z"}
    spec = {"nodeName": NODE, "restartPolicy": "Never", "containers": [{"name": "app", "image": "busybox:1.28"}]}
    status = {"phase": "Pending", "qosClass": "BestEffort"}
    return {
        "metadata": metadata | ({"uid": uid} if uid else {}) | sections.get("metadata", {}),
        "spec": spec | sections.get("spec", {}),
        "status": status | sections.get("status", {}),
    }
