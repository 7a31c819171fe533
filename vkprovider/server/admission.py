"""Who may ask anything of the node."""

from __future__ import annotations

from aiohttp import web

from vkprovider.server.refusals import Refused

API_SERVER = "kube-apiserver-kubelet-client"  # as kubeadm, and so kind, names the API server towards nodes
ADMINISTRATORS = "system:masters"
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


async def admit_api_server(request: web.Request) -> None:
    """Let in the API server and administrators, by client certificate. Raises Refused for all others."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    if not certificate:
        raise Refused(401, "Unauthorized")
    subject = [pair for part in certificate["subject"] for pair in part]
    users = [value for name, value in subject if name == "commonName"]
    if API_SERVER not in users and ("organizationName", ADMINISTRATORS) not in subject:
        user, verb = users[0] if users else "", _VERBS.get(request.method, "")
        raise Refused(403, f"Forbidden (user={user}, verb={verb}, resource=nodes)")
