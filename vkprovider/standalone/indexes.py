"""Completion indexes as the Job API writes them: ``0,2-4``, sorted, runs of three and more as ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def format_indexes(indexes: Iterable[int]) -> str:
    """The compressed list. Two neighbours stay ``3,4``: pkg/controller/job/indexed_job_utils.go writes them so."""
    return ",".join(_written(first, last) for first, last in _runs(indexes))


def parse_indexes(text: str, completions: int) -> frozenset[int]:
    """The indexes of a compressed list that are below ``completions``.

    A part that is not a number or a range is left out, as the Job controller does; the API refuses such a list.
    """
    return frozenset(index for part in text.split(",") for index in _part(part, completions))


def _runs(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for index in sorted(set(indexes)):
        if index != last + 1 or first < 0:
            if first >= 0:
                yield first, last
            first = index
        last = index
    if first >= 0:
        yield first, last


def _written(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _part(part: str, completions: int) -> range:
    first, dash, last = part.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        return range(0)
    return range(int(first), min(int(last or first) + 1, completions))
