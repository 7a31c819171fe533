"""Certificates in PEM, read and written."""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress

_BEGIN, _DASHES = "-----BEGIN ", "-----"
_LINE = 64  # characters


def certificates(text: str) -> Iterator[bytes]:
    """What is in the blocks of a text in PEM, whatever they are called; headers of theirs and what is between them is
    left out, as is a block that is broken (Go's encoding/pem Decode).
    """
    end, body = "", list[str]()
    for line in map(str.rstrip, text.splitlines()):
        if line.startswith(_BEGIN) and line.endswith(_DASHES):
            end, body = f"-----END {line.removeprefix(_BEGIN)}", []
        elif end and line == end:
            end = ""
            with suppress(ValueError):  # binascii.Error is one; characters that are not ASCII have no better
                yield binascii.a2b_base64("".join("".join(body).split()), strict_mode=True)
        elif end and ":" not in line:
            body.append(line)


def in_pem(contents: Iterable[bytes]) -> bytes:
    """Certificates, each a block and nothing else."""
    return "".join(map(_block, contents)).encode()


def _block(content: bytes) -> str:
    text = b64encode(content).decode()
    lines = (text[at : at + _LINE] for at in range(0, len(text), _LINE))
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----\n"))
