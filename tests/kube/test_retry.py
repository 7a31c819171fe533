"""What is refused is looked at again once, however often it was refused."""

from __future__ import annotations

import asyncio

import pytest

from vkprovider.kube.webhook import retry
from vkprovider.kube.webhook.retry import Retry


async def test_many_refusals_are_one_more_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0.01)
    looks: list[str] = []
    one = Retry(lambda: looks.append("again"))
    for _ in range(3):
        one.put_off()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, later.set)
    await later.wait()
    assert looks == ["again"]
