"""The first signal is to stop, the next to stop waiting."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from vkprovider.node.orders import Orders, unless


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_second_signal_means_more(number: signal.Signals) -> None:
    orders = Orders()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(orders.stop.wait(), 5)
    assert not orders.hurry.is_set()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(orders.hurry.wait(), 5)


async def test_work_that_is_done_in_time() -> None:
    async def work() -> int:
        return 5

    assert await unless(asyncio.Event(), work()) == 5


async def test_work_that_fails() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await unless(asyncio.Event(), work())


async def test_work_that_takes_too_long_is_cancelled() -> None:
    told, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        told.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    assert await unless(told, work()) is None
    assert ended.is_set()
