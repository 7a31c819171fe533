"""What users are told of errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from vkprovider.errors import EngineError, in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EngineError("no such image"), "no such image"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (FileNotFoundError(2, "No such file or directory", "/a"), "/a: No such file or directory"),
        (PermissionError(13, "Permission denied", Path("/a")), "/a: Permission denied"),
        (FileNotFoundError("it does not exist"), "it does not exist"),
    ],
)
def test_an_error_in_words(error: Exception, words: str) -> None:
    assert in_words(error) == words
