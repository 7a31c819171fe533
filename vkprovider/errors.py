"""The errors vkprovider raises itself. Each carries a ``reason``: one CamelCase word, as Kubernetes' reasons are.

No error logs or prints when it is made; whoever handles it decides what is said, and to whom.
"""

from __future__ import annotations

from typing import ClassVar


class VkError(Exception):
    """Base of all own errors. ``reason`` may be shown to users and used as an event reason."""

    reason: ClassVar[str] = "InternalError"


class SpecError(VkError):
    """A manifest or pod spec that cannot be accepted. ``path`` names the field, as ``spec.containers[0].image``."""

    reason = "InvalidSpec"

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


class EngineError(VkError):
    """The container engine refused or failed a call. The engine's own words are the message."""

    reason = "EngineError"


class EngineNotFound(EngineError):  # noqa: N818  the engine's own word for it
    """The container, image or network named in the call does not exist."""

    reason = "NotFound"


class EngineConflict(EngineError):  # noqa: N818
    """The call contradicts the present state: a name in use, a container already running or not running."""

    reason = "Conflict"


class EngineUnavailable(EngineError):  # noqa: N818
    """The engine cannot be reached or did not answer in time. Nothing is known about what the call did."""

    reason = "EngineUnavailable"


class ImagePullError(EngineError):
    """An image could not be pulled. ``reason`` is always the kubelet's waiting reason ``ErrImagePull``."""

    reason = "ErrImagePull"
