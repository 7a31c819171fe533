"""Trying until it works: what a node cannot do without may fail for hours, and must not end the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from vkprovider.errors import VkError
from vkprovider.kube.backoff import BackOff


async def insist(step: Callable[[], Awaitable[None]], backoff: BackOff) -> None:
    """Take a step again and again until it succeeds. What it raises other than VkError is raised."""
    while True:
        try:
            await step()
        except VkError as exc:
            await backoff.failed(exc)
        else:
            backoff.succeeded()
            return
