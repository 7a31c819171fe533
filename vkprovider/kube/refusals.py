"""What went wrong with the API server, in vkprovider's errors and in words that a user can act on."""

from __future__ import annotations

import os
import ssl

import aiohttp
import msgspec

from vkprovider.errors import (
    ApiConflict,
    ApiError,
    ApiForbidden,
    ApiGone,
    ApiInvalid,
    ApiNotFound,
    ApiUnauthorized,
    ApiUnavailable,
)
from vkprovider.kube.resources import ResourcePath

# Whatever may be raised between vkprovider and the API server.
FAILURES = (aiohttp.ClientError, OSError, msgspec.MsgspecError)  # a TimeoutError is an OSError

NAMESPACE_TERMINATING = "NamespaceTerminating"  # the cause of a 403 that no permission helps against

_BY_STATUS: dict[int, type[ApiError]] = {
    400: ApiInvalid,
    401: ApiUnauthorized,
    403: ApiForbidden,
    404: ApiNotFound,
    408: ApiUnavailable,
    409: ApiConflict,
    410: ApiGone,
    422: ApiInvalid,
    429: ApiUnavailable,
}


class _Cause(msgspec.Struct):
    reason: str = ""


class _Details(msgspec.Struct, rename="camel"):
    retry_after_seconds: int = 0
    causes: tuple[_Cause, ...] = ()


class _Status(msgspec.Struct, rename="camel"):
    """The part of metav1.Status that is read."""

    kind: str
    code: int = 0
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None


def refused(verb: str, place: ResourcePath, code: int, body: bytes) -> ApiError:
    """The one translation of answers that are errors.

    Only a ``kind: Status`` is quoted: any other body comes from elsewhere, and may hold anything.
    """
    try:
        status = msgspec.json.decode(body, type=_Status)
    except msgspec.MsgspecError:
        status = _Status(kind="")
    if status.kind != "Status":
        whose = "as where no such kind of objects is defined" if code == 404 else "in words not the API server's"
        status = _Status(kind="Status", message=f"HTTP status {code}, {whose}")
    kind = _BY_STATUS.get(code, ApiUnavailable if code >= 500 else ApiError)
    details = status.details or _Details()
    ending = any(cause.reason == NAMESPACE_TERMINATING for cause in details.causes)
    reason = NAMESPACE_TERMINATING if ending else status.reason or ""
    message = _sentence(ApiError if ending else kind, verb, place, status.message or f"HTTP status {code}")
    return kind(message, status_reason=reason, retry_after=details.retry_after_seconds)


def refused_in_stream(place: ResourcePath, event: object) -> ApiError:
    """The error that an ERROR event of a watch tells of: its object is a Status."""
    body = msgspec.json.encode(event)
    try:
        code = msgspec.json.decode(body, type=_Status).code
    except msgspec.MsgspecError:
        code = 0
    return refused("watch", place, code or 500, body)


def unreachable(verb: str, place: ResourcePath, server: str, exc: BaseException) -> ApiUnavailable:
    """No answer, or none that can be understood."""
    return ApiUnavailable(f"cannot {verb} {place}: {_why(server, exc)}")


def _sentence(kind: type[ApiError], verb: str, place: ResourcePath, words: str) -> str:
    if kind is ApiForbidden:
        return f"may not {verb} {place}: grant it (deploy/ has the roles that are needed): {words}"
    if kind is ApiUnauthorized:
        return f"cannot {verb} {place}: the API server does not accept the credentials, renew them: {words}"
    return f"cannot {verb} {place}: {words}"


def _why(server: str, exc: BaseException) -> str:
    if isinstance(exc, TimeoutError):
        return f"{server} does not answer"
    if isinstance(exc, msgspec.MsgspecError):
        return f"{server} answers with something that is not JSON"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"{server} shows a certificate that is not trusted: {exc.certificate_error}"
    cause: BaseException | None = exc
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    return f"{server} cannot be reached: {_of_system(cause) if isinstance(cause, OSError) else exc}"


def _of_system(exc: OSError) -> str:
    """The system's words: asyncio has its own for a refused connection, TLS and name resolution other numbers."""
    if isinstance(exc, ssl.SSLError) or not exc.errno or exc.errno < 0:
        return str(exc.strerror)
    return os.strerror(exc.errno)
