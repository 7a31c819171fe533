"""The errors vkprovider raises itself. Each carries a ``reason``: one CamelCase word, as Kubernetes' reasons are.

No error logs or prints when it is made; whoever handles it decides what is said, and to whom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

OWN_ERROR = 125  # the exit code for what is vkprovider's own to report, as docker run has it


class VkError(Exception):
    """Base of all own errors. ``reason`` may be shown to users and used as an event reason."""

    reason: ClassVar[str] = "InternalError"


def each_error(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    """The errors of a group and of the groups in it, one by one."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from each_error(error)
        else:
            yield error


def in_words(error: BaseException) -> str:
    """What a user is told of an error: of the system's the file and its words, without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


class SpecError(VkError):
    """A manifest or pod spec that cannot be accepted. ``path`` names the field, as ``spec.containers[0].image``."""

    reason = "InvalidSpec"

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


class NotGranted(VkError):
    """An object of another namespace that the pod has no leave for. Nothing is said of whether there is one."""

    reason = "NotGranted"


class EngineError(VkError):
    """The container engine refused or failed a call. The engine's own words are the message."""

    reason = "EngineError"


class EngineNotFound(EngineError):
    """The container, image or network named in the call does not exist."""

    reason = "NotFound"


class EngineConflict(EngineError):
    """The call contradicts the present state: a name in use, a container already running or not running."""

    reason = "Conflict"


class EngineUnavailable(EngineError):
    """The engine cannot be reached or did not answer in time. Nothing is known about what the call did."""

    reason = "EngineUnavailable"


class ImagePullError(EngineError):
    """An image could not be pulled. ``reason`` is always the kubelet's waiting reason ``ErrImagePull``."""

    reason = "ErrImagePull"


class ApiError(VkError):
    """The API server refused or failed a request. The message names the verb and the resource.

    ``status_reason`` is the API server's own word for it, as in ``AlreadyExists``, "" if it gave none;
    ``retry_after`` how many seconds it asked to be left alone, 0 if it did not.
    """

    reason = "ApiError"

    def __init__(self, message: str, *, status_reason: str = "", retry_after: float = 0) -> None:
        super().__init__(message)
        self.status_reason = status_reason
        self.retry_after = retry_after


class ApiNotFound(ApiError):
    """The object, or its kind, does not exist."""

    reason = "NotFound"


class ApiConflict(ApiError):
    """The object exists already, is another one of that name, or was changed meanwhile."""

    reason = "Conflict"


class ApiGone(ApiError):
    """The resource version asked for is no longer known: list again."""

    reason = "Expired"


class ApiForbidden(ApiError):
    """The identity is known and may not do this."""

    reason = "Forbidden"


class ApiUnauthorized(ApiError):
    """There are no credentials, or they are not accepted."""

    reason = "Unauthorized"


class ApiInvalid(ApiError):
    """The request cannot be accepted as it is, now or later."""

    reason = "Invalid"


class ApiUnavailable(ApiError):
    """The API server cannot be reached, did not answer in time, or asks to come again later."""

    reason = "ServiceUnavailable"
