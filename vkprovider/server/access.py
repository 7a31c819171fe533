"""Who may ask what of the node: the cluster's client certificates and tokens, and the permissions that it gives.

As a kubelet does whose anonymous authentication is off and whose authorization is Webhook (cmd/kubelet/app/auth.go;
InstallAuthFilter in pkg/kubelet/server/server.go has the words).
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import hdrs, web

from vkprovider.errors import ApiError
from vkprovider.model.access import User
from vkprovider.ports import AccessReviews, Clock
from vkprovider.server.answers import Answers
from vkprovider.server.attributes import subresources, verb
from vkprovider.server.refusals import Refused

TOKEN_SECONDS = 120  # for which answers hold (pkg/kubelet/apis/config/v1beta1/defaults.go)
ALLOWED_SECONDS, DENIED_SECONDS = 300, 30
AUTHENTICATED = "system:authenticated"
log = structlog.get_logger()


class Admission:
    """To be called with each request before anything is done for it."""

    def __init__(self, reviews: AccessReviews, clock: Clock) -> None:
        self._reviews = reviews
        self._clock = clock
        # Tokens that are refused are asked for again, as kubelets do: each refusal comes with an error.
        self._users = Answers[User | None](clock, lambda user: TOKEN_SECONDS if user is not None else 0)
        self._allowed = Answers[bool](clock, lambda allowed: ALLOWED_SECONDS if allowed else DENIED_SECONDS)
        self._said = ""

    async def __call__(self, request: web.Request) -> None:
        """Raises Refused for those that may not."""
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        user = holder(certificate, self._clock.now().timestamp()) if certificate else None
        if user is None:
            user = await self._bearer(bearer_token(request.headers.get(hdrs.AUTHORIZATION, "")))
        await self._authorize(user, request)

    async def _bearer(self, token: str) -> User:
        user = None
        if token:
            key = hashlib.sha256(token.encode(errors="surrogateescape")).digest()  # tokens themselves are not kept
            try:
                user = await self._users.get(key, lambda: self._reviews.user(token))
                self._said = ""
            except ApiError as exc:
                self._complain("it cannot be known whose token a client shows", exc)
        if user is None:
            raise Refused(401, "Unauthorized")
        return user

    async def _authorize(self, user: User, request: web.Request) -> None:
        action, places = verb(request.method), subresources(request.path)
        asked = f"user={user.name}, verb={action}, resource=nodes"
        for place in places:
            try:
                if await self._may(user, action, place):
                    return
            except ApiError as exc:
                self._complain("it cannot be known what a client may do", exc)
                raise Refused(500, f"Authorization error ({asked}, subresource={place})") from exc
        raise Refused(403, f"Forbidden ({asked}, subresource(s)=[{' '.join(places)}])\n")

    async def _may(self, user: User, action: str, place: str) -> bool:
        allowed = await self._allowed.get((user, action, place), lambda: self._reviews.allows(user, action, place))
        self._said = ""
        return allowed

    def _complain(self, what: str, exc: ApiError) -> None:
        """Once, however many clients there are."""
        if self._said != str(exc):
            self._said = str(exc)
            log.warning(what, error=self._said)


def holder(certificate: Mapping[str, Any], now: float) -> User | None:
    """Whom a certificate names that TLS has verified (apiserver, authentication/request/x509 CommonNameUserConversion).

    Nobody once it has ended, which it may have since the connection was made.
    """
    subject = [pair for part in certificate["subject"] for pair in part]
    names = [value for key, value in subject if key == "commonName"]
    if not names or not names[-1] or ssl.cert_time_to_seconds(certificate["notAfter"]) < now:
        return None
    groups = tuple(value for key, value in subject if key == "organizationName")
    return User(name=names[-1], groups=groups if AUTHENTICATED in groups else (*groups, AUTHENTICATED))


def bearer_token(header: str) -> str:
    """The token of an Authorization header, "" where there is none (authentication/request/bearertoken)."""
    kind, _, rest = header.strip().partition(" ")
    return rest.partition(" ")[0] if kind.lower() == "bearer" else ""
