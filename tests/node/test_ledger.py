"""The sum of what pods were given."""

from __future__ import annotations

from vkprovider.core.claims import Claim
from vkprovider.core.view import Room
from vkprovider.model.refs import PodUID
from vkprovider.node.ledger import Ledger

A, B, C = PodUID("a"), PodUID("b"), PodUID("c")


def claim(cpu: int) -> Claim:
    return Claim(amounts={"cpu": cpu})


def ledger(cpu: str = "2") -> Ledger:
    return Ledger(lambda: {"cpu": cpu, "memory": "1Ki"})


def test_without_a_node_nobody_counts():
    book = Ledger()
    book.note(A, claim(1), None)
    assert book.room(B) is None


def test_all_that_others_take_is_used():
    book = ledger()
    book.note(A, claim(100), None)
    book.note(B, claim(200), None)
    assert book.room(A) == Room(allocatable={"cpu": 2000, "memory": 1024}, used={"cpu": 200})
    assert book.room(C) == Room(allocatable={"cpu": 2000, "memory": 1024}, used={"cpu": 300})
    assert (book.claim(A), book.claim(C)) == (claim(100), None)


def test_a_device_is_given_once():
    book = Ledger(dict, {"example.com/d": ("0", "1"), "example.com/e": ("0",)})
    book.note_devices(A, [{"example.com/d": ("0",)}, {"example.com/e": ("0",)}])
    room, own = book.room(B), book.room(A)
    assert room is not None
    assert own is not None
    assert room.devices == {"example.com/d": ("1",), "example.com/e": ()}
    assert own.devices == {"example.com/d": ("0", "1"), "example.com/e": ("0",)}
    book.forget(A)
    after = book.room(B)
    assert after is not None
    assert after.devices == own.devices


def test_whoever_waits_hears_of_room():
    book, heard = ledger(), list[str]()
    book.note(A, claim(100), heard.append)
    book.note(B, claim(200), None)
    assert heard == []
    book.note(B, claim(150), None)
    assert heard == ["room"]
    book.forget(B)
    assert heard == ["room", "room"]
    book.forget(B)
    assert heard == ["room", "room"]


def test_whoever_has_what_it_wants_does_not():
    book, heard = ledger(), list[str]()
    book.note(A, claim(100), heard.append)
    book.note(A, claim(200), None)
    book.note(B, claim(200), heard.append)
    book.forget(B)
    book.forget(A)
    assert heard == []
