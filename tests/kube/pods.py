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


def condition(kind: str, status: str = "True", *, at: str = "2026-01-01T11:30:00Z", **more: str) -> dict[str, Any]:
    given = {key: value for key, value in more.items() if value}
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": at} | given


def container_status(name: str, exit_code: int | None = None) -> dict[str, Any]:
    """Running, or ended with an exit code."""
    state: dict[str, Any] = {"running": {"startedAt": "2026-01-01T11:00:00Z"}}
    if exit_code is not None:
        state = {"terminated": {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed"}}
    return {"name": name, "state": state, "lastState": {}, "ready": exit_code is None, "restartCount": 0}
