"""Which directories a volume needs for the mounts below it."""

from __future__ import annotations

import pytest

from tests.core.given import container, pod
from vkprovider.core.nested import mount_points_in


def mounted(*places: tuple[str, str]) -> dict[str, object]:
    return container("app", volumeMounts=[{"name": name, "mountPath": path} for name, path in places])


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([("v", "/v")], ()),
        ([("v", "/v"), ("w", "/v/w")], ("w",)),
        ([("w", "/v/a/../b/"), ("v", "/v/")], ("b",)),
        ([("v", "/v"), ("w", "/v2/w"), ("x", "/v-x")], ()),
        ([("v", "/v"), ("w", "/v/w"), ("x", "/v/w/x"), ("y", "/v/w-y/z")], ("w", "w-y/z")),
        ([("v", "/v"), ("v", "/v/again")], ("again",)),
        ([("v", "/a"), ("v", "/b"), ("w", "/a/w"), ("x", "/b/x")], ("w", "x")),
        ([("w", "/w"), ("x", "/w/x")], ()),
    ],
)
def test_mount_points(places: list[tuple[str, str]], expected: tuple[str, ...]) -> None:
    assert mount_points_in(pod(mounted(*places)), "v") == expected


def test_those_of_all_containers() -> None:
    init = mounted(("v", "/v"), ("w", "/v/a")) | {"name": "init"}
    given = pod(mounted(("v", "/v"), ("w", "/v/b"), ("x", "/v/a")), inits=(init,))
    assert mount_points_in(given, "v") == ("a", "b")
