"""What went wrong with the engine, in vkprovider's errors."""

from __future__ import annotations

import aiohttp
import msgspec
import requests
from docker.errors import DockerException

from vkprovider.errors import EngineConflict, EngineError, EngineNotFound, EngineUnavailable, ImagePullError
from vkprovider.wire.stdcopy import FramingError

_BY_STATUS = {404: EngineNotFound, 409: EngineConflict, 503: EngineUnavailable}

# Whatever may be raised between vkprovider and the engine.
FAILURES = (
    requests.RequestException,
    aiohttp.ClientError,
    DockerException,
    OSError,
    msgspec.MsgspecError,
    FramingError,
)


class Refused(DockerException):
    """The engine's answer is an error. ``status`` is HTTP's, 0 for one that came within a stream."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def refused(status: int, body: bytes) -> Refused:
    """An answer that is an error: ``{"message": ...}``, or plain text from whatever stands before the engine."""
    try:
        message = msgspec.json.decode(body, type=_Message).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = body.decode(errors="replace").strip()
    return Refused(status, message or f"the engine answered with status {status}")


class _Message(msgspec.Struct):
    message: str


def engine_error(exc: BaseException, *, pulling: bool = False) -> EngineError:
    """The one translation of errors. A refusal keeps the engine's words; while pulling it is the registry's.

    No answer, or none that can be understood, means that nothing is known: EngineUnavailable.
    """
    if not isinstance(exc, Refused):
        return EngineUnavailable(_reason(exc))
    kind = _BY_STATUS.get(exc.status, EngineError)
    if pulling and kind is not EngineUnavailable:
        kind = ImagePullError
    return kind(str(exc))


def _reason(exc: BaseException) -> str:
    """The innermost cause says it best: "No such file or directory", "Permission denied", "Connection refused"."""
    if isinstance(exc, requests.Timeout | TimeoutError):
        return "the Docker engine does not answer"
    cause: BaseException | None = exc
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    return f"cannot talk to the Docker engine: {cause.strerror if isinstance(cause, OSError) else exc}"
