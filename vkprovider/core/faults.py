"""Why a container cannot be created yet, as a value that the shell can show and try again."""

from __future__ import annotations

from typing import ClassVar

from vkprovider.errors import VkError

CONFIG_ERROR = "CreateContainerConfigError"


class Fault(VkError):
    """A pod that cannot be turned into a container as things stand; what is missing may appear later.

    ``waiting_reason`` and ``message`` are what the container's Waiting state shows, in the kubelet's words.
    """

    reason: ClassVar[str] = CONFIG_ERROR

    def __init__(self, message: str, waiting_reason: str = CONFIG_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.waiting_reason = waiting_reason
