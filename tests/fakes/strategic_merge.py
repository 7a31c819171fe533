"""Strategic merge patch as the API server applies it, for the lists that vkprovider patches.

k8s.io/apimachinery/pkg/util/strategicpatch; the merge keys are those of the core/v1 types.
"""

from __future__ import annotations

from typing import Any

MERGE_KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip", "addresses": "type", "taints": "key"}
ORDER = "$setElementOrder/"


def apply(original: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """The object after the patch. Every list without a merge key is replaced as a whole."""
    if patch.get("$patch") == "replace":
        return {k: v for k, v in patch.items() if k != "$patch"}
    result = dict(original or {})
    for key, value in patch.items():
        if key.startswith(ORDER):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = apply(result.get(key), value)
        elif isinstance(value, list) and key in MERGE_KEYS:
            order = patch.get(ORDER + key)
            result[key] = _merge(result.get(key) or [], value, MERGE_KEYS[key], order)
        else:
            result[key] = value
    return result


def _merge(old: list[Any], patch: list[Any], key: str, order: list[Any] | None) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    merged = {item[key]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            merged.pop(item[key], None)
        else:
            merged[item[key]] = apply(merged.get(item[key]), item)
    if order is None:
        return list(merged.values())
    wanted = [item[key] for item in order]
    assert [item[key] for item in patch if "$patch" not in item] == [
        k for k in wanted if k in {i[key] for i in patch}
    ], "the order of the patch's list must be that of $setElementOrder"
    return _in_order(merged, wanted)


def _in_order(merged: dict[Any, Any], wanted: list[Any]) -> list[Any]:
    """In the order wanted; items that it does not name stay behind the one they followed."""
    result = [key for key in wanted if key in merged]
    before: Any = None
    for key in merged:
        if key not in wanted:
            result.insert(result.index(before) + 1 if before in result else 0, key)
        before = key
    return [merged[key] for key in result]
