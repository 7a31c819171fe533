"""Last words: the file, else the end of the log, and how long they may be. kuberuntime_container.go's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from tests.core.given import SANDBOX, T0, container, exited, native, pod, running
from tests.fakes.engine import FakeEngine
from tests.fakes.programs import Program
from vkprovider.errors import EngineError, EngineUnavailable
from vkprovider.model.create import ContainerCreate
from vkprovider.model.labels import CONTAINER_TYPE, ContainerIdentity, encode
from vkprovider.model.observed import ContainerState, PodObservation, Run
from vkprovider.model.pod import Pod, decode_pod
from vkprovider.model.refs import ContainerID
from vkprovider.node.termination_message import TerminationMessages

FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


class Standing:
    """A clock that does not move."""

    def now(self) -> datetime:
        return T0


class Bench:
    """An engine, and the messages that containers left in their files."""

    def __init__(self) -> None:
        self.engine = FakeEngine(Standing())
        self.engine.add_image("busybox:1.28")
        self.files: dict[str, str] = {}
        self.reads: list[tuple[str, int]] = []
        self.messages = TerminationMessages(self.engine, self._read)

    def _read(self, pod: Pod, name: str, attempt: int) -> str:
        self.reads.append((name, attempt))
        return self.files.get(name, "")

    async def ended(self, of: Pod, code: int = 1, log: tuple[str, ...] = (), **facts: Any) -> ContainerState:
        """The state of the pod's app, which has printed ``log`` and ended."""
        identity = ContainerIdentity(
            node="node", type=CONTAINER_TYPE, pod_name="p", pod_namespace="default", pod_uid=of.uid, name="app"
        )
        self.engine.program("app", Program(runs=0, code=code, output=tuple(("stdout", line) for line in log)))
        spec = ContainerCreate(name=identity.engine_name, image="busybox:1.28", labels=encode(identity))
        container_id = await self.engine.create(spec)
        await self.engine.start(container_id)
        return exited(of, "app", code, id=container_id, **facts)

    async def message(self, of: Pod, instance: ContainerState) -> str:
        seen = await self.messages.fill_in(of, PodObservation(containers=(instance,)))
        return seen.containers[0].message


PLAIN, LOGS = pod(container("app")), pod(container("app", **FALLBACK))


async def test_the_file_is_the_message():
    bench = Bench()
    bench.files["app"] = "bye"
    assert await bench.message(PLAIN, await bench.ended(PLAIN)) == "bye"
    assert bench.engine.calls("logs") == []


@pytest.mark.parametrize(
    ("of", "code", "file", "expected"),
    [
        (PLAIN, 1, "", ""),
        (LOGS, 1, "", "a line\n"),
        (LOGS, 1, "bye", "bye"),
        (LOGS, 0, "", ""),
        (LOGS, 0, "bye", "bye"),
    ],
)
async def test_the_log_stands_in_for_an_empty_file_of_a_failed_container(of: Pod, code: int, file: str, expected: str):
    bench = Bench()
    bench.files["app"] = file
    assert await bench.message(of, await bench.ended(of, code, ("a line",))) == expected


async def test_the_log_is_cut_to_its_last_80_lines():
    bench = Bench()
    log = tuple(str(number) for number in range(200))
    message = await bench.message(LOGS, await bench.ended(LOGS, log=log))
    assert message.splitlines() == list(log[-80:])


async def test_the_log_is_cut_to_its_last_2048_bytes():
    bench = Bench()
    message = await bench.message(LOGS, await bench.ended(LOGS, log=("x" * 3000, "y" * 1000)))
    assert message == "x" * 1046 + "\n" + "y" * 1000 + "\n"


async def test_a_character_cut_in_two_is_shown_as_such():
    bench = Bench()
    message = await bench.message(LOGS, await bench.ended(LOGS, log=("€" * 1000,)))
    assert message == "�" + "€" * 682 + "\n"


@pytest.mark.parametrize("error", [EngineError, EngineUnavailable])
async def test_a_log_that_cannot_be_read_is_no_message(error: type[EngineError]):
    bench = Bench()
    instance = await bench.ended(LOGS, log=("a line",))
    bench.engine.fail("logs", error("no"))
    assert await bench.message(LOGS, instance) == ""


@pytest.mark.parametrize(("file", "expected"), [("", "no such file"), ("bye", "no such file: bye")])
async def test_a_failed_start_is_told_first(file: str, expected: str):
    bench = Bench()
    bench.files["app"] = file
    instance = await bench.ended(LOGS, 128, ("a line",), start_error="no such file")
    assert await bench.message(LOGS, instance) == expected
    assert bench.engine.calls("logs") == []


@pytest.mark.parametrize("others", [0, 1, 3])
async def test_a_pods_messages_share_12_kib(others: int):
    more = [container(f"c{number}") for number in range(others)]
    p = pod(container("app"), *more, inits=(native("side"),), ephemeralContainers=[container("spy")])
    bench = Bench()
    bench.files["app"] = "€" * 12 * 1024
    share = 12 * 1024 // (others + 3)
    assert await bench.message(p, await bench.ended(p)) == "€" * (share // 3)


async def test_each_message_is_read_once_and_only_of_what_has_ended():
    bench = Bench()
    p = pod(container("app"), container("other"))
    bench.files["app"] = "bye"
    instance = await bench.ended(p)
    alive = running(p, "other")
    seen = await bench.messages.fill_in(p, PodObservation(containers=alive))
    assert bench.reads == []
    assert seen.containers == alive
    for _ in range(3):
        bench.files["app"] += "!"
        seen = await bench.messages.fill_in(p, PodObservation(containers=(instance, *alive)))
        assert [c.message for c in seen.containers] == ["bye!", ""]
    assert bench.reads == [("app", 0)]


async def test_a_restarted_container_has_a_message_for_each_attempt():
    bench = Bench()
    p = pod(container("app"), policy="Always")
    bench.files["app"] = "one"
    first = await bench.ended(p)
    assert await bench.message(p, first) == "one"
    bench.files["app"] = "two"
    second = msgspec.structs.replace(first, id=ContainerID("second"), attempt=1)
    seen = await bench.messages.fill_in(p, PodObservation(containers=(second, first)))
    assert [c.message for c in seen.containers] == ["two", "one"]
    assert bench.reads == [("app", 0), ("app", 1)]


async def test_a_container_the_pod_does_not_name_has_no_message():
    bench = Bench()
    stranger = ContainerState(
        id=ContainerID("x"), name="x", attempt=0, sandbox_id=SANDBOX, run=Run.EXITED, created_at=T0
    )
    assert await bench.message(PLAIN, stranger) == ""


async def test_what_is_gone_is_not_remembered():
    bench = Bench()
    other = decode_pod(PLAIN.raw | {"metadata": PLAIN.raw["metadata"] | {"uid": "other"}})
    one, two = await bench.ended(PLAIN), exited(PLAIN, "app", attempt=1)
    for instances in ((one,), (one, two), (two,), (), (one, two)):
        await bench.messages.fill_in(PLAIN, PodObservation(containers=instances))
        await bench.messages.fill_in(other, PodObservation(containers=running(PLAIN, "app")))
    assert bench.reads == [("app", 0), ("app", 1), ("app", 0), ("app", 1)]
