"""Layers laid over one another."""

from __future__ import annotations

import posixpath
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from vkprovider.core.image_layers import Kind, LayerEntry, Shown, Source, lay_over
from vkprovider.errors import SpecError


def directory(name: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(name=name, kind=Kind.DIRECTORY, mode=mode)


def file(name: str, mode: int = 0o644) -> LayerEntry:
    return LayerEntry(name=name, kind=Kind.FILE, mode=mode)


def link(name: str, target: str, kind: Kind = Kind.SYMLINK) -> LayerEntry:
    return LayerEntry(name=name, kind=kind, target=target)


def shown(*layers: list[LayerEntry]) -> dict[str, Shown]:
    found = lay_over(layers)
    assert len({each.path for each in found}) == len(found)
    return {each.path: each for each in found if each.path}


def paths(*layers: list[LayerEntry]) -> list[str]:
    return sorted(shown(*layers))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], []),
        ([[file("a")]], ["a"]),
        ([[file("./a/b")]], ["a", "a/b"]),
        ([[file("/etc/passwd")]], ["etc", "etc/passwd"]),
        ([[file("a")], [file("b")]], ["a", "b"]),
        ([[file("a")], [file(".wh.a")]], []),
        ([[file("d/a"), file("d/b")], [file("d/.wh.a")]], ["d", "d/b"]),
        ([[file("d/a"), file("d/b/c")], [file("d/.wh..wh..opq")]], ["d"]),
        ([[file("d/a")], [file("d/c"), file("d/.wh..wh..opq")]], ["d", "d/c"]),  # its own stay
        ([[file("d/a")], [file(".wh.d"), file("d/b")]], ["d", "d/b"]),
        ([[file("d/a")], [file("d")]], ["d"]),
        ([[file("d/a")], [directory("d")]], ["d", "d/a"]),
        ([[file("d")], [file("d/a")]], ["d", "d/a"]),
        ([[link("d", "/etc")], [file("d/a")]], ["d", "d/a"]),
        ([[file("nowhere/.wh.a"), file("nowhere/.wh..wh..opq")]], []),
        ([[LayerEntry(name="dev/sda", kind=Kind.OTHER)]], []),
        ([[file("a"), file("a")]], ["a"]),
        ([[directory("./"), directory("")]], []),
        ([[file("a")], [file(".wh...")]], ["a"]),  # what is above cannot be hidden
        ([[file(".wh..wh.plnk/1.2")]], []),  # what aufs has left
    ],
)
def test_what_is_shown(layers: list[list[LayerEntry]], expected: list[str]):
    assert paths(*layers) == expected


@pytest.mark.parametrize("name", ["../a", "a/../../b", "a/..", "/..", "a\0b"])
def test_a_name_that_leads_out_is_no_layers(name: str):
    with pytest.raises(SpecError, match="leads out"):
        lay_over([[file(name)]])


def test_a_symbolic_link_in_the_way_is_gone_where_a_layer_has_files_below_it():
    found = shown([link("d", "/etc")], [file("d/passwd")])
    assert found["d"].entry.kind is Kind.DIRECTORY


def test_the_upper_layer_wins():
    found = shown([file("a", 0o600), directory("d", 0o700)], [file("a", 0o644), directory("d", 0o755)])
    assert (found["a"].source, found["a"].mode, found["d"].mode) == (Source(1, 0), 0o644, 0o755)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (file("a", 0o4755), 0o644),
        (file("a", 0o777), 0o666),
        (directory("a", 0o2775), 0o775),
        (directory("a", 0o1777), 0o1777),
    ],
)
def test_nothing_may_be_executed(given: LayerEntry, expected: int):
    assert shown([given])["a"].mode == expected


def test_a_hard_link_is_the_same_file_and_stays_when_its_other_name_is_gone():
    found = shown([file("a"), link("b", "a", Kind.HARD_LINK), link("d/c", "/b", Kind.HARD_LINK)], [file(".wh.a")])
    assert sorted(found) == ["b", "d", "d/c"]
    assert found["b"].source == found["d/c"].source == Source(0, 0)


@pytest.mark.parametrize("target", ["nothing", "d", "s", "b"])
def test_a_hard_link_to_no_file(target: str):
    with pytest.raises(SpecError, match="no file of the image"):
        lay_over([[directory("d"), link("s", "/etc/passwd"), link("b", target, Kind.HARD_LINK)]])


def test_directories_come_before_what_is_in_them_and_links_last():
    found = [each.path for each in lay_over([[link("a", "/"), file("z/y/x"), link("z/b", "a"), file("b")]])]
    assert found == ["", "b", "z", "z/y", "z/y/x", "a", "z/b"]


def test_deep_directories():
    deep = "/".join("d" * 5000)
    assert len(lay_over([[file(deep)]])) == 5001


_NAMES = st.lists(st.sampled_from(["a", "b", ".wh.a", ".wh..wh..opq", "..", ".", "", "..."]), min_size=1, max_size=4)
_ENTRIES = st.builds(
    lambda parts, kind, target: LayerEntry(name="/".join(parts), kind=kind, target="/".join(target)),
    _NAMES,
    st.sampled_from(list(Kind)),
    _NAMES,
)


@for_all(st.lists(st.lists(_ENTRIES, max_size=6), max_size=3))
def test_no_layer_leads_out_or_through_a_link(layers: list[list[Any]]):
    try:
        found = lay_over(layers)
    except SpecError:
        return
    made = set[str]()
    for each in found:
        assert posixpath.normpath(f"/{each.path}") == f"/{each.path}"
        assert ".wh." not in each.path
        if each.path:
            assert posixpath.dirname(each.path) in made
        if each.entry.kind is Kind.DIRECTORY:
            made.add(each.path)
        assert (each.source is not None) is (each.entry.kind is Kind.FILE)
    links = [each.entry.kind is Kind.SYMLINK for each in found]
    assert links == sorted(links)
