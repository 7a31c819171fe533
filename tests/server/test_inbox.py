from __future__ import annotations

import asyncio

import pytest

from vkprovider.server.channels import MOST_HELD, Inbox


async def until_waiting(task: asyncio.Task[None]) -> None:
    """Let the task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()


@pytest.fixture
async def full() -> tuple[Inbox, asyncio.Task[None]]:
    """An inbox that has no room, and somebody who waits for some."""
    inbox = Inbox()
    await inbox.put(bytes(MOST_HELD))
    waiting = asyncio.create_task(inbox.put(b"more"))
    await until_waiting(waiting)
    return inbox, waiting


async def test_what_was_put_is_got_at_once_and_in_order():
    inbox = Inbox()
    await inbox.put(b"a")
    await inbox.put(b"")
    await inbox.put(b"b")
    inbox.end()
    assert [await inbox.get() for _ in range(3)] == [b"ab", b"", b""]


async def test_who_gets_waits_for_something():
    inbox = Inbox()
    getting = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    await inbox.put(b"x")
    assert await getting == b"x"


async def test_who_puts_waits_for_room(full: tuple[Inbox, asyncio.Task[None]]):
    inbox, waiting = full
    assert len(await inbox.get()) == MOST_HELD
    await waiting
    assert await inbox.get() == b"more"


async def test_nobody_waits_for_an_inbox_that_is_abandoned(full: tuple[Inbox, asyncio.Task[None]]):
    inbox, waiting = full
    inbox.abandon()
    await waiting
    await inbox.put(bytes(2 * MOST_HELD))
    await inbox.put(b"on and on")
    assert await inbox.get() == b""


async def test_what_comes_after_the_end_is_dropped():
    inbox = Inbox()
    inbox.end()
    await inbox.put(b"late")
    assert await inbox.get() == b""
