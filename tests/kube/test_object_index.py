"""Objects of one kind as they are kept."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from vkprovider.errors import SpecError
from vkprovider.kube.object_index import ObjectIndex
from vkprovider.kube.reflector import Changed, Removed, Replaced


def raw(name: str, value: int, namespace: str = "") -> dict[str, Any]:
    return {"kind": "Thing", "metadata": {"name": name, "namespace": namespace}, "value": value}


def read(raw: dict[str, Any]) -> int:
    if raw["value"] < 0:
        raise SpecError("less than nothing")
    return int(raw["value"])


def test_they_are_as_the_last_update_says() -> None:
    changes: list[tuple[int, ...]] = []
    index: ObjectIndex[int] = ObjectIndex(read, lambda: changes.append(index.all()))
    assert not index.listed.is_set()
    index.take(Replaced((raw("a", 1), raw("b", 2), raw("a", 3, "inside"))))
    assert index.listed.is_set()
    assert (index.get("a"), index.get("a", "inside"), index.get("c")) == (1, 3, None)
    index.take(Changed(raw("a", 4)))
    index.take(Changed(raw("a", 4)))
    index.take(Removed(raw("b", 2)))
    index.take(Removed(raw("b", 2)))
    index.take(Replaced((raw("c", 5),)))
    index.take(Replaced((raw("c", 5),)))
    assert changes == [(1, 2, 3), (4, 2, 3), (4, 3), (5,)]


def test_one_that_cannot_be_read_does_not_count() -> None:
    index: ObjectIndex[int] = ObjectIndex(read)
    index.take(Replaced((raw("a", 1),)))
    with capture_logs() as logs:
        index.take(Changed(raw("a", -1)))
    assert index.all() == ()
    assert logs[0]["error"] == "less than nothing"


def test_the_first_list_is_told_of_though_it_be_empty() -> None:
    changes: list[str] = []
    index: ObjectIndex[int] = ObjectIndex(read, lambda: changes.append("changed"))
    index.take(Replaced(()))
    index.take(Replaced(()))
    assert changes == ["changed"]
