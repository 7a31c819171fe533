"""What is not served: requests, in the kubelet's words, for API servers and tests look for them; and all of it."""

from __future__ import annotations

from vkprovider.errors import VkError


class Refused(Exception):
    """``status`` is HTTP's; the text is the whole body of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ServerError(VkError):
    """The node's API cannot be served. The message says what to do."""

    reason = "KubeletServerFailed"
