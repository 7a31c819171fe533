"""``$(NAME)``: the cases of third_party/forked/golang/expansion/expand_test.go, and what they leave open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vkprovider.core.expansion import expand

VARIABLES = {"VAR_A": "A", "VAR_B": "B", "VAR_C": "C", "VAR_REF": "$(VAR_A)", "VAR_EMPTY": ""}

CASES = {
    "$(VAR_A)": "A",
    "$(VAR_A)-$(VAR_A)": "A-A",
    "___$(VAR_B)___": "___B___",
    "$(VAR_A)_$(VAR_B)_$(VAR_C)": "A_B_C",
    "$$(VAR_B)_$(VAR_A)": "$(VAR_B)_A",
    "f000-$$VAR_A": "f000-$VAR_A",
    "foo\\$(VAR_C)bar": "foo\\Cbar",
    "foo\\\\$(VAR_C)bar": "foo\\\\Cbar",
    "$(VAR_A$(VAR_B))": "$(VAR_A$(VAR_B))",
    "$(VAR_A$(VAR_B)": "$(VAR_A$(VAR_B)",
    "%%$(VAR_REF)--$(VAR_REF)%%": "%%$(VAR_A)--$(VAR_A)%%",
    "foo$(VAR_EMPTY)bar": "foobar",
    "foo$(VAR_Awhoops!": "foo$(VAR_Awhoops!",
    "f00__(VAR_A)__": "f00__(VAR_A)__",
    "$?_boo_$!": "$?_boo_$!",
    "$VAR_A": "$VAR_A",
    "$(VAR_DNE)": "$(VAR_DNE)",
    "$$$$$$(BIG_MONEY)": "$$$(BIG_MONEY)",
    "$$$$$$(VAR_A)": "$$$(VAR_A)",
    "$$$$$$$(GOOD_ODDS)": "$$$$(GOOD_ODDS)",
    "$$$$$$$(VAR_A)": "$$$A",
    "$VAR_A)": "$VAR_A)",
    "${VAR_A}": "${VAR_A}",
    "$(VAR_B)_______$(A": "B_______$(A",
    "$(VAR_C)_______$(": "C_______$(",
    "$(VAR_A)foobarzab$": "Afoobarzab$",
    "--$($($($($--": "--$($($($($--",
    "$($($($($--foo$(": "$($($($($--foo$(",
    "$(foo$$var)": "$(foo$$var)",
    "$()": "$()",
    "\n": "\n",
    "$(A\nB)": "$(A\nB)",
    "$(é)é$é": "$(é)é$é",
    "": "",
}


@pytest.mark.parametrize(("text", "expanded"), CASES.items())
def test_expands(text: str, expanded: str) -> None:
    assert expand(text, VARIABLES) == expanded


@given(st.text(alphabet="$()ab"))
def test_escaping_every_dollar_gives_the_text_back(text: str) -> None:
    assert expand(text.replace("$", "$$"), {"a": "1", "ab": "2"}) == text


@given(st.text(alphabet="ab$()"), st.text())
def test_what_a_reference_yields_is_not_looked_at_again(value: str, other: str) -> None:
    assert expand("$(X)", {"X": value, "a": other}) == value
