"""What every container engine behind the port does, second part: what it says while time goes by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contract.benches import NOBODY, PATIENCE, TRAP, TRAPPED, Bench, said
from tests.fakes.programs import Command, Program, Reaction, ends, on_term
from vkprovider.engine.log_relay import relay
from vkprovider.errors import EngineConflict, EngineNotFound
from vkprovider.model.engine import LogTarget
from vkprovider.model.observed import Run
from vkprovider.model.refs import ContainerID, PodUID

# --- changes ----------------------------------------------------------------------------------------------------


async def next_of(changes: AsyncIterator[PodUID | None], wanted: PodUID | None) -> None:
    """Wait for one change among others."""
    async with asyncio.timeout(PATIENCE):
        async for uid in changes:
            if uid == wanted:
                return
    raise AssertionError("changes ended")


async def test_changes_tell_of_start_and_end(bench: Bench):
    async with aclosing(bench.engine.changes()) as changes:
        await next_of(changes, None)
        container_id = await bench.run("app", TRAP, TRAPPED)
        await next_of(changes, bench.uid)
        await said(bench, container_id)
        # Whatever is told after the signal: one of it comes when the container has ended.
        await bench.engine.signal(container_id, "TERM")
        while (state := await bench.see(container_id)) is not None and state.run is not Run.EXITED:
            await next_of(changes, bench.uid)
        await bench.engine.remove(container_id)
        await next_of(changes, bench.uid)


async def test_changes_are_told_to_all_who_listen(bench: Bench):
    async with aclosing(bench.engine.changes()) as one, aclosing(bench.engine.changes()) as two:
        await next_of(one, None)
        await next_of(two, None)
        await bench.run("app", program=on_term(0))
        await next_of(one, bench.uid)
        await next_of(two, bench.uid)


async def test_changes_of_another_node_are_not_told(bench: Bench):
    other = bench.another_node()
    async with aclosing(other.engine.changes()) as theirs, aclosing(bench.engine.changes()) as ours:
        await next_of(theirs, None)
        await next_of(ours, None)
        await bench.run()
        await next_of(ours, bench.uid)
        other.uid = PodUID("theirs")
        await other.run("app")
        async with asyncio.timeout(PATIENCE):
            assert await anext(theirs) == "theirs"
    await other.clean()


async def test_waiting_for_changes_can_be_given_up(bench: Bench):
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(bench.engine.changes()) as changes:
            async for _ in changes:
                begun.set()

    task = asyncio.create_task(listen())
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- exec -------------------------------------------------------------------------------------------------------


async def test_exec_gives_the_exit_code_and_what_was_said(bench: Bench):
    words = ("sh", "-c", "echo out; echo err >&2; exit 5")
    program = Program(reactions={}, commands={" ".join(words): Command(code=5, output=b"out\nerr\n")})
    container_id = await bench.run("app", program=program)
    result = await bench.engine.exec(container_id, words, None)
    assert result.exit_code == 5
    assert sorted(result.output.splitlines()) == [b"err", b"out"]


async def test_exec_keeps_ten_kilobytes_and_takes_the_rest(bench: Bench):
    words = ("sh", "-c", "head -c 300000 /dev/zero; exit 1")
    program = Program(reactions={}, commands={" ".join(words): Command(code=1, output=bytes(300_000))})
    container_id = await bench.run("app", program=program)
    result = await bench.engine.exec(container_id, words, 10)
    assert result.exit_code == 1
    assert result.output == bytes(10 * 1024)


async def test_exec_ends_at_the_end_of_its_time(bench: Bench):
    words = ("sh", "-c", "echo begun; exec sleep 1000")
    program = Program(reactions={}, commands={" ".join(words): Command(output=b"begun\n", seconds=1000)})
    container_id = await bench.run("app", program=program)
    result = await bench.engine.exec(container_id, words, 0.7)
    assert result.exit_code is None
    assert result.output == b"begun\n"


async def test_exec_of_a_command_that_does_not_exist_fails(bench: Bench):
    error = b"OCI runtime exec failed: /no/such/command: no such file or directory"
    program = Program(reactions={}, commands={"/no/such/command": Command(code=126, output=error)})
    container_id = await bench.run("app", program=program)
    result = await bench.engine.exec(container_id, ["/no/such/command"], 10)
    assert result.exit_code in (126, 127)
    assert b"/no/such/command" in result.output


async def test_exec_needs_a_running_container(bench: Bench):
    dead = await bench.run("app", "exit 0", ends(0))
    await bench.ended(dead)
    with pytest.raises(EngineConflict, match="not running"):
        await bench.engine.exec(dead, ["true"], None)
    with pytest.raises(EngineNotFound):
        await bench.engine.exec(NOBODY, ["true"], None)


# --- logs -------------------------------------------------------------------------------------------------------


async def test_logs_tell_lines_with_their_stream_and_time(bench: Bench):
    script = "echo one; echo two >&2; printf three; sleep 1000"
    program = Program(reactions={}, output=(("stdout", "one"), ("stderr", "two")))
    container_id = await bench.run("app", script, program)
    await said(bench, container_id, 2)
    lines = {line.data: line async for line in bench.engine.logs(container_id)}
    assert lines[b"one\n"].stream == "stdout"
    assert lines[b"two\n"].stream == "stderr"
    state = await bench.see(container_id)
    assert state is not None
    assert state.started_at is not None
    for line in lines.values():
        assert line.time.tzinfo is UTC
        assert abs(line.time - state.started_at) < timedelta(seconds=PATIENCE)


async def test_logs_from_the_end_and_from_a_time_on(bench: Bench):
    script = "echo one; sleep 0.1; echo two; sleep 0.1; echo three"
    program = Program(runs=0, output=(("stdout", "one"), ("stdout", "two"), ("stdout", "three")))
    container_id = await bench.run("app", script, program)
    await bench.ended(container_id)
    everything = [line async for line in bench.engine.logs(container_id)]
    assert [line.data for line in everything] == [b"one\n", b"two\n", b"three\n"]
    assert [line async for line in bench.engine.logs(container_id, tail=2)] == everything[1:]
    assert [line async for line in bench.engine.logs(container_id, tail=9)] == everything
    assert [line async for line in bench.engine.logs(container_id, tail=0)] == []
    since = everything[-1].time
    assert everything[-1] in [line async for line in bench.engine.logs(container_id, since=since)]
    later = since + timedelta(seconds=1)
    assert [line async for line in bench.engine.logs(container_id, since=later)] == []


async def test_logs_are_followed_to_the_end(bench: Bench):
    script = "trap 'echo last; exit 0' USR1; echo first; while :; do sleep 0.05; done"
    program = Program(
        reactions={"USR1": Reaction(code=0, output=("last",))},
        output=(("stdout", "first"),),
    )
    container_id = await bench.run("app", script, program)
    heard: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        async for line in bench.engine.logs(container_id, follow=True):
            heard.append(line.data)
            if line.data == b"first\n":
                await bench.engine.signal(container_id, "USR1")
    assert heard == [b"first\n", b"last\n"]


# --- log files --------------------------------------------------------------------------------------------------

Copy = Callable[[Bench, ContainerID, LogTarget], Awaitable[None]]
WORD = "trap 'printf last; exit 0' USR1; echo first; while :; do sleep 0.05; done"
WORDS = Program(reactions={"USR1": Reaction(code=0, output=("last",))}, output=(("stdout", "first"),))


async def by_the_engine(bench: Bench, container_id: ContainerID, target: LogTarget) -> None:
    await bench.engine.copy_log(container_id, target)


async def as_it_is_told(bench: Bench, container_id: ContainerID, target: LogTarget) -> None:
    """What engines do whose files this process cannot read."""
    await relay(lambda since: bench.engine.logs(container_id, follow=True, since=since), target)


@pytest.mark.parametrize("copy", [by_the_engine, as_it_is_told])
async def test_a_log_file_is_kept_to_the_end_however_often_its_keeper_dies(bench: Bench, tmp_path: Path, copy: Copy):
    container_id = await bench.run("app", WORD, WORDS)
    target = LogTarget(path=str(tmp_path / "0.log"), note=str(tmp_path / "note"))

    async def texts() -> list[str]:
        lines = await asyncio.to_thread(lambda: Path(target.path).read_text().splitlines())
        return [line.split(" ", 3)[3] for line in lines]

    for _ in range(3):
        keeping = asyncio.create_task(copy(bench, container_id, target))
        async with asyncio.timeout(PATIENCE):
            while not Path(target.path).exists() or await texts() != ["first"]:  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.02)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    keeping = asyncio.create_task(copy(bench, container_id, target))
    await bench.engine.signal(container_id, "USR1")
    async with asyncio.timeout(PATIENCE):
        await keeping
        await copy(bench, container_id, target)  # it has ended, and all is there
    told = [line async for line in bench.engine.logs(container_id)]
    lines = await asyncio.to_thread(lambda: Path(target.path).read_text().splitlines())
    stamps = [datetime.fromisoformat(line.split(" ")[0]) for line in lines]
    assert stamps[:2] == [line.time for line in told]
    assert (await texts())[:2] == ["first", "last"]
    assert lines[-1].split(" ")[1:3] == ["stdout", "F"]


async def test_a_log_file_of_nothing(bench: Bench, tmp_path: Path):
    with pytest.raises(EngineNotFound):
        await bench.engine.copy_log(NOBODY, LogTarget(path=str(tmp_path / "0.log"), note=str(tmp_path / "note")))


async def test_logs_of_nothing(bench: Bench):
    with pytest.raises(EngineNotFound):
        _ = [line async for line in bench.engine.logs(NOBODY)]


async def test_logs_outlive_the_container_until_it_is_removed(bench: Bench):
    container_id = await bench.run("app", "echo word", Program(runs=0, output=(("stdout", "word"),)))
    await bench.ended(container_id)
    assert await said(bench, container_id) == [b"word\n"]
    await bench.engine.remove(container_id)
    with pytest.raises(EngineNotFound):
        _ = [line async for line in bench.engine.logs(container_id)]
