"""Which pods a relist has looked at."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from vkprovider.core.relist import LONGEST_GAP_SECONDS, TURNS, Relist, due
from vkprovider.model.observed import Glance
from vkprovider.model.refs import PodUID

UIDS = [PodUID(f"uid-{number}") for number in range(200)]
A, B = UIDS[:2]
RUNS, ENDED = Glance(shown=frozenset({"app running"})), Glance(shown=frozenset({"app exited"}))


def relist(glances: Mapping[PodUID, Glance], number: int = 0, asked_at: float = 0.0) -> Relist:
    return Relist(number=number, asked_at=asked_at, glances=glances)


def without_turn(uid: PodUID) -> int:
    """The number of a relist that does not have the pod looked at by itself."""
    same = relist({uid: RUNS})
    return next(number for number in range(TURNS) if not due([uid], same, relist({uid: RUNS}, number)))


def test_the_first_time_it_is_all() -> None:
    assert due(UIDS, None, relist({})) == UIDS


@pytest.mark.parametrize(
    ("before", "now", "looked_at"),
    [
        (RUNS, RUNS, False),
        (RUNS, ENDED, True),
        (RUNS, None, True),  # all of it is gone
        (None, RUNS, True),
        (None, None, False),
        (Glance(shown=RUNS.shown, fresh=True), RUNS, True),
        (RUNS, Glance(shown=RUNS.shown, fresh=True), True),
        (Glance(fresh=True), Glance(fresh=True), True),  # it may have ended and begun again
    ],
)
def test_what_differs_or_is_fresh(before: Glance | None, now: Glance | None, looked_at: bool) -> None:
    last, this = ({} if glance is None else {A: glance} for glance in (before, now))
    assert due([A], relist(last), relist(this, without_turn(A))) == ([A] if looked_at else [])


def test_only_pods_that_somebody_looks_after() -> None:
    assert due([A], relist({}), relist({A: RUNS, B: RUNS})) == [A]


def test_each_pod_has_its_turn_and_they_are_spread() -> None:
    same = {uid: RUNS for uid in UIDS}
    turns = [due(UIDS, relist(same), relist(same, number)) for number in range(5, 5 + TURNS)]
    assert sorted(uid for turn in turns for uid in turn) == sorted(UIDS)
    assert max(len(turn) for turn in turns) <= 2 * len(UIDS) / TURNS


def test_after_a_long_gap_nothing_can_be_told() -> None:
    number = without_turn(A)
    for gap, looked_at in ((LONGEST_GAP_SECONDS, []), (LONGEST_GAP_SECONDS + 1, [A])):
        assert due([A], relist({A: RUNS}, asked_at=100.0), relist({A: RUNS}, number, 100.0 + gap)) == looked_at
