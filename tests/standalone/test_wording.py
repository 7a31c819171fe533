"""Durations, sizes, and text from outside."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.standalone.wording import age_text, clean, seconds_text, size_text, times_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.004, "0 s"),
        (0.04, "0.04 s"),
        (0.2, "0.2 s"),
        (10.12, "10.1 s"),
        (30.02, "30 s"),
        (29.97, "30 s"),
        (119.9, "119.9 s"),
        (119.96, "2 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3785, "1 h 3 min"),
    ],
)
def test_durations_in_sentences(seconds: float, text: str) -> None:
    assert seconds_text(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m0s"), (125, "2m5s"), (3600, "1h0m"), (3785, "1h3m")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(timedelta(seconds=seconds)) == text


def test_sizes_and_counts() -> None:
    assert size_text(3_200_000, 7_100_000) == "3.2/7.1 MB"
    assert size_text(512, 2_500) == "0.5/2.5 kB"
    assert size_text(1, 999) == "1/999 B"
    assert size_text(1_500_000_000, 3_000_000_000) == "1.5/3.0 GB"
    assert [times_text(n) for n in (1, 2, 3)] == ["once", "twice", "3 times"]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext, ünïcode 漢字", "plain\ttext, ünïcode 漢字"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a new window title\x07after", "after"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice control\x1b\\after", "after"),
        ("\x1b[2J\x1b[H\x1bcgone", "gone"),
        ("\x1b(Bset", "set"),
        ("50%\r100%", r"50%\r100%"),
        ("one\ntwo", r"one\ntwo"),
        ("bell\x07 back\x08 nul\x00 del\x7f", r"bell\x07 back\x08 nul\x00 del\x7f"),
        ("\x1b", r"\x1b"),
        ("\x1b]unfinished", ""),
        ("evil\u202egnp.exe", r"evil\u202egnp.exe"),
        ("line\u2028two", r"line\u2028two"),
        ("half \ud800 pair", r"half \ud800 pair"),
    ],
)
def test_text_from_outside_is_made_harmless(raw: str, shown: str) -> None:
    assert clean(raw) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_nothing_a_terminal_acts_upon_gets_through(raw: str) -> None:
    shown = clean(raw)
    shown.encode()
    assert all(c == "\t" or (c >= " " and not "\x7f" <= c <= "\x9f") for c in shown)
    assert len(shown.splitlines()) <= 1
    assert clean(shown) == shown
