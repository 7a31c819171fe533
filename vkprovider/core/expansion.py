"""``$(NAME)`` in commands, arguments and variables, by the rules of third_party/forked/golang/expansion/expand.go."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)


def references(text: str) -> frozenset[str]:
    """The names that ``expand`` looks up."""
    return frozenset(match[2] for match in _REFERENCE.finditer(text) if match[2] is not None)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace each ``$(NAME)`` whose name is known. Unknown references stay as they are, ``$$`` becomes ``$``.

    What a reference yields is not looked at again.
    """

    def replacement(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        return escaped or variables.get(name, match.group())

    return _REFERENCE.sub(replacement, text)
