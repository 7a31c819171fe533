"""Kubernetes quantities: exact, rounded up, and refused in the API server's words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.errors import SpecError
from vkprovider.model.quantity import in_binary, in_units_of, millis, parse, whole

EXACT = {
    "0": "0",
    "1": "1",
    "+1": "1",
    "-1": "-1",
    "1.": "1",
    ".5": "0.5",
    "0.1": "0.1",
    "100m": "0.1",
    "1n": "1e-9",
    "1u": "1e-6",
    "1k": "1000",
    "1M": "1e6",
    "1G": "1e9",
    "1T": "1e12",
    "1P": "1e15",
    "1E": "1e18",
    "1Ki": "1024",
    "1.5Mi": "1572864",
    "1Gi": "1073741824",
    "1Ti": "1099511627776",
    "1Pi": "1125899906842624",
    "1Ei": "1152921504606846976",
    "1e3": "1000",
    "1E3": "1000",
    "12e-1": "1.2",
    "1e+2": "100",
}


@pytest.mark.parametrize(("text", "value"), EXACT.items())
def test_parses_exactly(text: str, value: str) -> None:
    assert parse(text) == Decimal(value)


@pytest.mark.parametrize(("number", "value"), [(2, "2"), (0.1, "0.1"), (1e22, "1e22"), (1.5e-7, "0.00000015")])
def test_takes_numbers_as_yaml_gives_them(number: float, value: str) -> None:
    assert parse(number) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "m", "1 Gi", "1KI", "1mi", "1g", "1e", "e3", "0x10", "1e3Mi", "--1", "nan", "1,5"]
)
def test_refuses_what_is_none(text: str) -> None:
    with pytest.raises(SpecError, match="quantities must match the regular expression"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "thousandths", "units"),
    [
        ("0", 0, 0),
        ("1", 1000, 1),
        ("0.1", 100, 1),
        ("1m", 1, 1),
        ("1u", 1, 1),
        ("1500m", 1500, 2),
        ("1Ki", 1024000, 1024),
    ],
)
def test_rounds_up(text: str, thousandths: int, units: int) -> None:
    assert (millis(text), whole(text)) == (thousandths, units)


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_every_number_of_bytes_survives(number: int) -> None:
    assert whole(str(number)) == whole(number) == number
    assert millis(f"{number}m") == number


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "1"), (1023, "1023"), (1024, "1Ki"), (1536, "1536"), (3 << 20, "3Mi"), (5 << 60, "5Ei")],
)
def test_bytes_as_kubernetes_prints_them(amount: int, text: str) -> None:
    assert in_binary(amount) == text


@pytest.mark.parametrize(
    ("amount", "example", "text"),
    [
        (2048, "1Ki", "2Ki"),
        (2000, "1k", "2k"),
        (2000, 5, "2k"),
        (1500, "1G", "1500"),
        (0, "1G", "0"),
        (3 * 10**18, "1E", "3E"),
    ],
)
def test_sums_are_printed_as_their_first_part_was(amount: int, example: str | int, text: str) -> None:
    assert in_units_of(amount, example) == text
