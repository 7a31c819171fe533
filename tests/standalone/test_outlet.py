"""The thread that writes: order, batches, and what happens when the reader is slow or gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from vkprovider.standalone.outlet import MOST_WAITING, Outlet

PATIENCE = 10.0  # seconds; no test comes near it


class Reader:
    """A writer's other end, which may be made to wait or to fail."""

    def __init__(self) -> None:
        self.may_read = threading.Event()
        self.may_read.set()
        self.called = threading.Event()
        self.thrice = threading.Event()
        self.batches: list[list[int]] = []
        self.closed = 0
        self.errors: list[Exception] = []
        self.fails: Callable[[], Exception] | None = None

    def write(self, batch: Sequence[int]) -> None:
        assert threading.current_thread() is not threading.main_thread()
        self.called.set()
        assert self.may_read.wait(PATIENCE)
        if self.fails is not None:
            raise self.fails()
        self.batches.append(list(batch))
        if len(self.batches) == 3:
            self.thrice.set()

    def close(self) -> None:
        self.closed += 1

    def lost(self, exc: Exception) -> None:
        self.errors.append(exc)

    @property
    def items(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


async def test_everything_is_written_in_order_before_the_end() -> None:
    reader = Reader()
    outlet = Outlet(reader)
    for number in range(5000):
        outlet.put(number)
    async with asyncio.timeout(PATIENCE):
        await outlet.aclose()
    assert reader.items == list(range(5000))
    assert (reader.closed, reader.errors) == (1, [])


async def test_a_poke_has_the_writer_called_without_items() -> None:
    reader = Reader()
    outlet = Outlet(reader)
    outlet.poke()
    async with asyncio.timeout(PATIENCE):
        await outlet.aclose()
    assert reader.batches[0] == []
    assert reader.items == []


async def test_pokes_do_not_pile_up_behind_a_slow_reader() -> None:
    reader = Reader()
    reader.may_read.clear()
    outlet = Outlet(reader)
    for _ in range(1000):
        outlet.poke()
    reader.may_read.set()
    async with asyncio.timeout(PATIENCE):
        await outlet.aclose()
    assert len(reader.batches) <= 3


async def test_without_anything_to_do_the_writer_is_called_at_each_tick() -> None:
    reader = Reader()
    outlet = Outlet(reader, tick=0.001)
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.to_thread(reader.thrice.wait, PATIENCE)
        await outlet.aclose()
    assert reader.items == []


async def test_room_waits_while_the_reader_does_not_read() -> None:
    reader = Reader()
    reader.may_read.clear()
    outlet = Outlet(reader)
    put = 0

    async def talk() -> None:
        nonlocal put
        for number in range(3 * MOST_WAITING):
            await outlet.room()
            outlet.put(number)
            put += 1

    talking = asyncio.create_task(talk())
    async with asyncio.timeout(PATIENCE):
        for _ in range(100):
            await asyncio.sleep(0)
        assert MOST_WAITING <= put < 2 * MOST_WAITING + 1, "one batch may be with the reader"
        reader.may_read.set()
        await talking
        await outlet.aclose()
    assert reader.items == list(range(3 * MOST_WAITING))


async def test_after_a_failure_everything_is_dropped_and_nobody_waits() -> None:
    reader = Reader()
    reader.fails = lambda: BrokenPipeError(32, "Broken pipe")
    outlet = Outlet(reader)
    async with asyncio.timeout(PATIENCE):
        for number in range(3 * MOST_WAITING):
            await outlet.room()
            outlet.put(number)
        await outlet.aclose()
    assert (reader.items, reader.closed) == ([], 0)
    assert [type(e) for e in reader.errors] == [BrokenPipeError], "told once"


async def test_who_is_cancelled_while_waiting_for_room_leaves_the_others_alone() -> None:
    reader = Reader()
    reader.may_read.clear()
    outlet = Outlet(reader)
    outlet.put(0)
    assert await asyncio.to_thread(reader.called.wait, PATIENCE)  # from now on the queue only grows
    for number in range(2 * MOST_WAITING):
        outlet.put(number)
    given_up, patient = asyncio.create_task(outlet.room()), asyncio.create_task(outlet.room())
    await asyncio.sleep(0)
    given_up.cancel()
    reader.may_read.set()
    async with asyncio.timeout(PATIENCE):
        await patient
        await outlet.aclose()
    assert given_up.cancelled()
