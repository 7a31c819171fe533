"""What a container of the fake engine runs: a program is a value, its time is the clock's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

KILLED = 137


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal does: after ``seconds`` the program ends with ``code``; None means it goes on."""

    code: int | None = None
    seconds: float = 0
    output: tuple[str, ...] = ()


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What a command executed in the container does. One that takes longer than it is given is killed.

    With ``error`` the engine fails to execute it at all.
    """

    code: int = 0
    output: bytes = b""
    seconds: float = 0
    error: str = ""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a container does from its start.

    It prints ``output`` and ends by itself after ``runs`` seconds with ``code``; None means it runs until it is
    signalled. A signal that ``reactions`` does not name is ignored, as the kernel does for a PID 1 without a handler;
    KILL always ends it. ``oom``: it ends by the kernel's hand. ``start_error``: the engine cannot start it.
    ``commands`` are looked up by their words joined with spaces; any other succeeds at once in silence.
    """

    runs: float | None = None
    code: int = 0
    oom: bool = False
    start_error: str = ""
    output: tuple[tuple[str, str], ...] = ()  # (stream, line without newline)
    reactions: Mapping[str, Reaction] = MappingProxyType({"TERM": Reaction(code=143)})
    commands: Mapping[str, Command] = {}


def ends(code: int = 0, after: float = 0) -> Program:
    """A program that ends by itself."""
    return Program(runs=after, code=code)


def ignores_term() -> Program:
    """A program that only KILL ends."""
    return Program(reactions={})


def on_term(code: int, after: float = 0) -> Program:
    """A program that runs until TERM, and then takes its time."""
    return Program(reactions={"TERM": Reaction(code=code, seconds=after)})
