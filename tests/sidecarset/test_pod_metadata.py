"""The annotations that sets put on pods."""

from __future__ import annotations

import pytest

from tests.sidecarset.given import a_pod, a_set, injected
from vkprovider.errors import SpecError
from vkprovider.sidecarset.pod_metadata import merge_patch


@pytest.mark.parametrize(
    ("policy", "before", "value", "after"),
    [
        ({}, None, "new", "new"),
        ({}, "old", "new", "old"),
        ({"patchPolicy": "Retain"}, "old", "new", "old"),
        ({"patchPolicy": "Overwrite"}, "old", "new", "new"),
        ({"patchPolicy": "MergePatchJson"}, None, "no json", "no json"),
        ({"patchPolicy": "MergePatchJson"}, "", '{"a":1}', '{"a":1}'),
        ({"patchPolicy": "MergePatchJson"}, '{"b":{"x":1,"y":2}}', '{"a":1,"b":{"y":null}}', '{"a":1,"b":{"x":1}}'),
    ],
)
def test_an_annotation_is_patched(policy: dict[str, str], before: str | None, value: str, after: str) -> None:
    patch = {"annotations": {"key": value}, **policy}
    pod = a_pod(annotations={"key": before} if before is not None else None)
    assert injected(pod, a_set(patchPodMetadata=[patch]))["metadata"]["annotations"]["key"] == after


@pytest.mark.parametrize(("before", "value"), [("{", "{}"), ("{}", "{")])
def test_what_cannot_be_merged_is_refused(before: str, value: str) -> None:
    patch = {"annotations": {"key": value}, "patchPolicy": "MergePatchJson"}
    with pytest.raises(SpecError, match=r"annotation key: the (value|patch), .* must be JSON to be merged"):
        injected(a_pod(annotations={"key": before}), a_set(patchPodMetadata=[patch]))


@pytest.mark.parametrize(  # RFC 7386, appendix A
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: object, patch: object, result: object) -> None:
    assert merge_patch(target, patch) == result
