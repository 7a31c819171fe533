from __future__ import annotations

import asyncio

import pytest

from tests.kube.quick_clock import QuickClock
from vkprovider.server import answers
from vkprovider.server.answers import Answers


class Oracle:
    def __init__(self) -> None:
        self.asked = 0
        self.at_once = self.most_at_once = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.failure: Exception | None = None
        self.began = asyncio.Queue[None]()

    async def __call__(self) -> int:
        self.asked += 1
        self.began.put_nowait(None)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.answers.wait()
        finally:
            self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        return self.asked


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


async def test_an_answer_holds_for_its_time(oracle: Oracle):
    clock = QuickClock()
    kept = Answers[int](clock, lambda answer: 10.0 * answer)
    heard = []
    for elapsed in (0.0, 9.9, 10.0, 29.9, 30.0):
        clock.elapsed = elapsed
        heard.append(await kept.get("a", oracle))
    assert heard == [1, 1, 2, 2, 3]
    assert await kept.get("b", oracle) == 4


async def test_what_is_not_kept_is_asked_each_time(oracle: Oracle):
    kept = Answers[int](QuickClock(), lambda answer: 0)
    assert [await kept.get("a", oracle) for _ in range(2)] == [1, 2]


async def test_a_failure_is_not_kept(oracle: Oracle):
    kept = Answers[int](QuickClock(), lambda answer: 10)
    oracle.failure = RuntimeError("no")
    with pytest.raises(RuntimeError):
        await kept.get("a", oracle)
    oracle.failure = None
    assert await kept.get("a", oracle) == 2


async def test_many_who_ask_the_same_make_one_question_that_outlives_the_first(oracle: Oracle):
    kept = Answers[int](QuickClock(), lambda answer: 0)
    oracle.answers.clear()
    asking = [asyncio.create_task(kept.get("a", oracle)) for _ in range(50)]
    await oracle.began.get()
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    oracle.answers.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 49


async def test_what_nobody_waits_for_any_more_is_not_asked(oracle: Oracle):
    kept = Answers[int](QuickClock(), lambda answer: 10)
    oracle.answers.clear()
    asking = [asyncio.create_task(kept.get(key, oracle)) for key in range(2 * answers.AT_ONCE)]
    for _ in range(answers.AT_ONCE):
        await oracle.began.get()
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    oracle.answers.set()
    assert await kept.get("a", oracle) == answers.AT_ONCE + 1
    assert oracle.at_once == 0


async def test_few_questions_are_on_their_way(oracle: Oracle):
    kept = Answers[int](QuickClock(), lambda answer: 10)
    oracle.answers.clear()
    asking = [asyncio.create_task(kept.get(key, oracle)) for key in range(50)]
    for _ in range(answers.AT_ONCE):
        await oracle.began.get()
    oracle.answers.set()
    await asyncio.gather(*asking)
    assert (oracle.asked, oracle.most_at_once) == (50, answers.AT_ONCE)


async def test_the_oldest_answers_make_room(oracle: Oracle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answers, "MOST", 2)
    kept = Answers[int](QuickClock(), lambda answer: 10)
    for key in ("a", "b", "c", "b", "c"):
        await kept.get(key, oracle)
    assert oracle.asked == 3
    await kept.get("a", oracle)
    assert oracle.asked == 4
