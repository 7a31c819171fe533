"""Patches: what they say, and that they make of one object the other."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vkprovider.sidecarset.json_patch import json_patch

LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab/~", max_size=2)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
)
OBJECTS = st.dictionaries(st.text("ab/~", max_size=2), VALUES, max_size=4)


def test_what_differs_is_named_and_lists_are_replaced() -> None:
    before = {"metadata": {"labels": {"a/b": "1", "c~d": "2"}}, "spec": {"containers": [1], "x": {"y": 1}}}
    after = {"metadata": {"labels": {"a/b": "3"}}, "spec": {"containers": [0, 1], "x": {"y": 1}, "z": {}}}
    assert json_patch(before, after) == [
        {"op": "remove", "path": "/metadata/labels/c~0d"},
        {"op": "replace", "path": "/metadata/labels/a~1b", "value": "3"},
        {"op": "replace", "path": "/spec/containers", "value": [0, 1]},
        {"op": "add", "path": "/spec/z", "value": {}},
    ]
    assert json_patch(before, before) == []


@given(OBJECTS, OBJECTS)
def test_it_makes_of_any_object_any_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    made = copy.deepcopy(before)
    for operation in json_patch(before, after):
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        there: Any = made
        for parent in parents:
            there = there[parent]
        if operation["op"] == "remove":
            del there[last]
        else:
            assert (last in there) is (operation["op"] == "replace")
            there[last] = operation["value"]
    assert repr(sorted_keys(made)) == repr(sorted_keys(after))  # 1 is not True


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(each) for each in value] if isinstance(value, list) else value
