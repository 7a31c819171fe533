"""Which images may go, how much is to go, and in which order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from tests.core.given import T0, at
from vkprovider.core.image_gc import ImagePolicy, KnownImage, bytes_to_free, old_enough, too_little, too_old, unused

POLICY = ImagePolicy()
MINUTE = 60


def image(name: str, seen: float = 0, used: float | None = None, names: tuple[str, ...] = ()) -> KnownImage:
    last_used = None if used is None else at(used)
    return KnownImage(id=name, size=1, names=frozenset(names or (name,)), first_seen=at(seen), last_used=last_used)


def ids(images: list[KnownImage]) -> str:
    return "".join(each.id for each in images)


@pytest.mark.parametrize(
    ("capacity", "available", "expected"),
    [
        (1000, 1000, 0),
        (1000, 160, 0),
        (1000, 151, 49),  # 84.9 % taken: a kubelet rounds what is free down
        (1000, 150, 50),
        (1000, 0, 200),
        (1000, 5000, 0),
        (0, 0, 0),
        (10**15, 10**14, 10**14),
    ],
)
def test_how_much_is_to_go(capacity: int, available: int, expected: int):
    assert bytes_to_free(POLICY, capacity, available) == expected


@for_all(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 100), st.integers(0, 100))
def test_what_is_freed_brings_the_disk_down_to_the_low_threshold(capacity: int, available: int, one: int, other: int):
    policy = ImagePolicy(low=min(one, other), high=max(one, other))
    wanted = bytes_to_free(policy, capacity, available)
    assert 0 <= wanted <= capacity
    if wanted:
        assert bytes_to_free(policy, capacity, available + wanted) == 0 or policy.high == policy.low


def test_the_least_recently_used_goes_first_and_one_never_used_before_it():
    known = [image("a", 0, 300), image("b", 5, 100), image("c", 9), image("d", 2, 100), image("e", 1)]
    assert ids(unused(known, (), {each.id: each.names for each in known})) == "ecdba"


def test_what_is_in_use_stays():
    known = [image("a"), image("b")]
    assert ids(unused(known, {"a"}, {"a": {"a"}, "b": {"b"}})) == "b"


@pytest.mark.parametrize(
    ("names", "may_go"),
    [
        ({"web:1", "web@sha256:1"}, True),
        ({"web@sha256:1"}, True),  # its tag is another's by now
        (set(), True),
        ({"web:1", "keep:this"}, False),  # by docker tag
        ({"keep:this"}, False),
    ],
)
def test_what_has_another_name_is_somebody_elses_too(names: set[str], may_go: bool):
    known = [image("a", names=("web:1", "web@sha256:1"))]
    assert bool(unused(known, (), {"a": names})) is may_go


@pytest.mark.parametrize(("age", "may_go"), [(0, False), (119, False), (120, True), (1e6, True)])
def test_one_that_was_just_pulled_stays(age: float, may_go: bool):
    assert bool(list(old_enough(POLICY, [image("a")], at(age)))) is may_go


@pytest.mark.parametrize(
    ("max_age", "now", "expected"),
    [(None, 1e9, ""), (100, 100, ""), (100, 101, "b"), (100, 150, "b"), (100, 151, "ab")],
)
def test_what_was_not_used_for_too_long_goes_once_that_has_been_watched(max_age: int | None, now: float, expected: str):
    policy = ImagePolicy(max_age=None if max_age is None else timedelta(seconds=max_age))
    assert ids(list(too_old(policy, [image("a", used=50), image("b")], at(now), T0))) == expected


@pytest.mark.parametrize(
    ("policy", "off"),
    [
        (POLICY, False),
        (ImagePolicy(high=100), True),
        (ImagePolicy(high=100, max_age=timedelta(hours=1)), False),
    ],
)
def test_a_threshold_that_no_disk_gets_over_switches_it_off(policy: ImagePolicy, off: bool):
    assert policy.off is off


def test_the_words_of_a_kubelet():
    assert too_little(5, 3) == (
        "Failed to garbage collect required amount of images. "
        "Attempted to free 5 bytes, but only found 3 bytes eligible to free."
    )
