"""How a request becomes a session: which protocol, and what a client is told that asks for none we know."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import hdrs, web

from vkprovider.server.refusals import Refused
from vkprovider.server.websocket_channels import LARGEST_MESSAGE
from vkprovider.wire.channels import negotiate

SPDY = "SPDY/3.1"
PROTOCOL_HEADER = "X-Stream-Protocol-Version"


def wants_websocket(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def websocket_protocol(request: web.Request, known: Sequence[str]) -> str:
    """The subprotocol to speak, "" where the client offers none. Raises Refused where it offers none of those known."""
    offered = _values(request, hdrs.SEC_WEBSOCKET_PROTOCOL)
    chosen = negotiate(offered, known)
    if chosen is None:
        raise Refused(403, f"requested protocol(s) are not supported: {offered}; supports {list(known)}")
    return chosen


async def accept_websocket(request: web.Request, protocol: str) -> web.WebSocketResponse:
    """Switch to a WebSocket that speaks this subprotocol."""
    socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), max_msg_size=LARGEST_MESSAGE)
    await socket.prepare(request)
    return socket


def spdy_handshake(request: web.Request, response: web.StreamResponse, known: Sequence[str]) -> str:
    """Agree to SPDY and a protocol over it; its name. Raises Refused (apimachinery, httpstream and spdy/upgrade.go)."""
    connection = request.headers.get(hdrs.CONNECTION, "").lower()
    if "upgrade" not in connection or SPDY.lower() not in request.headers.get(hdrs.UPGRADE, "").lower():
        raise Refused(400, "unable to upgrade: missing upgrade headers in request")
    offered = _values(request, PROTOCOL_HEADER)
    if not offered:
        raise Refused(400, f"unable to upgrade: {PROTOCOL_HEADER} is required")
    chosen = negotiate(offered, known)
    if chosen is None:
        raise Refused(
            403,
            "unable to upgrade: unable to negotiate protocol:"
            f" client supports [{' '.join(offered)}], server accepts [{' '.join(known)}]",
        )
    response.headers[hdrs.UPGRADE] = SPDY
    response.headers[PROTOCOL_HEADER] = chosen
    return chosen


def _values(request: web.Request, header: str) -> list[str]:
    """What a header lists, in one line or several."""
    return [name.strip() for line in request.headers.getall(header, []) for name in line.split(",") if name.strip()]
