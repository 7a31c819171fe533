"""The text of manifests: files, or standard input for ``-``. What cannot be read is said in one sentence."""

from __future__ import annotations

import sys
from typing import BinaryIO

from vkprovider.errors import SpecError

STDIN = "-"
MAX_BYTES = 8 * 1024 * 1024  # an API server takes 3 MiB in a request


def source_name(source: str) -> str:
    """A source as messages name it."""
    return "stdin" if source == STDIN else source


def read_text(source: str, stdin: BinaryIO | None = None) -> str:
    """The text of a file or of ``stdin``. Raises SpecError if it cannot be read, is too long, or is not UTF-8."""
    try:
        if source == STDIN:
            content = (stdin or sys.stdin.buffer).read(MAX_BYTES + 1)
        else:
            with open(source, "rb") as file:
                content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise SpecError(f"cannot be read: {exc.strerror or exc}") from exc
    if len(content) > MAX_BYTES:
        raise SpecError(f"larger than {MAX_BYTES // 1024**2} MiB, the most a manifest may have: split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise SpecError(f"line {line}: not UTF-8: byte 0x{content[exc.start]:02x}") from exc
