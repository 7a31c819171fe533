"""What a request asks of the node, in the words of permissions (pkg/kubelet/server/auth.go)."""

from __future__ import annotations

_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_FINE_GRAINED = {"/pods": "pods", "/runningpods": "pods", "/healthz": "healthz", "/configz": "configz"}
_OF_THEIR_OWN = {
    "/stats": "stats",
    "/metrics": "metrics",
    "/logs": "log",
    "/checkpoint": "checkpoint",
    "/statusz": "statusz",
    "/flagz": "configz",
}


def verb(method: str) -> str:
    """What may be done to an object; "" for what no permission but that for everything speaks of, as HEAD."""
    return _VERBS.get(method, "")


def subresources(path: str) -> tuple[str, ...]:
    """Those of the Node that a path belongs to, the narrowest first: who may use one of them is let in."""
    first = "/" + path.removeprefix("/").partition("/")[0]
    if (own := _OF_THEIR_OWN.get(first)) is not None:
        return (own,)
    if (fine := _FINE_GRAINED.get(first)) is not None:
        return (fine, "proxy")
    return ("proxy",)
