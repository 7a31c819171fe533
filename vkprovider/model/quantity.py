"""Kubernetes quantities as integers. No floating point: "0.1" of a core is exactly 100 millicores."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from vkprovider.errors import SpecError

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d{1,3}))?$")


def parse(quantity: str | int | float) -> Decimal:
    """The exact value of ``quantity`` in base units.

    Raises SpecError in the API server's words (apimachinery/pkg/api/resource/quantity.go) if it is none.
    """
    match = _FORM.match(str(quantity).strip())
    if match is None:
        raise SpecError(
            f"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', "
            f"not {str(quantity)!r}"
        )
    number, suffix, exponent = match.groups()
    try:
        if suffix in _BINARY:
            return Decimal(number) * Decimal(1024) ** _BINARY[suffix]
        return Decimal(number).scaleb(int(exponent) if exponent else _DECIMAL[suffix or ""])
    except InvalidOperation as exc:  # pragma: no cover  the form above leaves no such number
        raise SpecError(f"{quantity!r} is not a quantity") from exc


def millis(quantity: str | int | float) -> int:
    """Thousandths, rounded up: the unit of cpu."""
    return int((parse(quantity) * 1000).to_integral_value(ROUND_CEILING))


def whole(quantity: str | int | float) -> int:
    """Whole units, rounded up: bytes for memory and storage."""
    return int(parse(quantity).to_integral_value(ROUND_CEILING))


def in_units_of(amount: int, example: str | int | float) -> str:
    """A whole number as Kubernetes prints a sum of quantities of which ``example`` was the first."""
    if str(example).endswith(tuple(_BINARY)):
        return in_binary(amount)
    suffix = ""
    for larger in ("k", "M", "G", "T", "P", "E") if amount else ():
        if amount % 1000:
            break
        amount, suffix = amount // 1000, larger
    return f"{amount}{suffix}"


def in_binary(amount: int) -> str:
    """A number as Kubernetes prints one of bytes (BinarySI): with the largest suffix that leaves it whole."""
    suffix = ""
    for larger in _BINARY if amount else ():
        if amount % 1024:
            break
        amount, suffix = amount // 1024, larger
    return f"{amount}{suffix}"
