"""``$(NAME)`` in commands, arguments and variables, by the rules of third_party/forked/golang/expansion/expand.go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vkprovider.core.faults import Fault

LONGEST = 128 * 1024  # of one argument or variable that Linux gives to a process (execve(2), MAX_ARG_STRLEN)
MOST = 6 * 1024 * 1024  # of all of them together (fs/exec.c bprm_stack_limits)

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)


def references(text: str) -> frozenset[str]:
    """The names that ``expand`` looks up."""
    return frozenset(match[2] for match in _REFERENCE.finditer(text) if match[2] is not None)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each ``$(NAME)`` whose name is known. Unknown references stay as they are, ``$$`` becomes ``$``.

    What a reference yields is not looked at again. Raises Fault where they yield more than a process can be given:
    variables made of variables could have any size.
    """
    grown = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal grown
        escaped, name = match.groups()
        value = escaped or variables.get(name, match.group())
        grown += len(value)
        if grown > LONGEST:
            raise Fault(f"an argument or variable grows over {LONGEST // 1024} KiB, the most a process can be given")
        return value

    return _REFERENCE.sub(replacement, text)


def expand_all(words: Iterable[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """A command line, each word expanded. Raises Fault as ``expand`` does, and ``check_size``."""
    expanded: list[str] = []
    size = 0
    for word in words:
        expanded.append(expand(word, variables))
        size += len(expanded[-1])
        check_size(size, "command and its arguments")
    return tuple(expanded)


def check_size(size: int, what: str) -> None:
    """Raise Fault where so many characters are more than Linux gives to a process."""
    if size > MOST:
        raise Fault(f"the {what} take more than {MOST // 1024**2} MiB, the most that a process can be given")
