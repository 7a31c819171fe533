from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.standalone.indexes import format_indexes, parse_indexes


@pytest.mark.parametrize(
    ("indexes", "text"),
    [
        ([], ""),
        ([0], "0"),
        ([0, 1], "0,1"),
        ([0, 1, 2], "0-2"),
        ([4, 2, 0, 3, 2], "0,2-4"),
        ([0, 2, 3, 5, 6, 7, 9], "0,2,3,5-7,9"),
    ],
)
def test_indexes_are_written_as_the_api_does(indexes: list[int], text: str) -> None:
    assert format_indexes(indexes) == text


@pytest.mark.parametrize(
    ("text", "completions", "indexes"),
    [
        ("", 5, set()),
        ("0,2-4", 10, {0, 2, 3, 4}),
        ("0,2-4", 4, {0, 2, 3}),
        ("7", 7, set()),
        ("0-2147483647", 3, {0, 1, 2}),
        ("4-2", 10, set()),
        ("x,1-,-1,1-y,3", 10, {3}),
    ],
)
def test_lists_are_read_up_to_the_completions(text: str, completions: int, indexes: set[int]) -> None:
    assert parse_indexes(text, completions) == indexes


@given(st.sets(st.integers(0, 60)))
def test_what_is_written_is_read_back(indexes: set[int]) -> None:
    assert parse_indexes(format_indexes(indexes), 61) == indexes
