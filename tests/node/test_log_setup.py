"""What the log shows of what pods and registries say."""

from __future__ import annotations

import pytest
import structlog


@pytest.mark.parametrize("said", ["\x1b]0;owned\x07\x1b[2J", "a b\x1b[31m", "\u202etxt.exe", "\x9b31m", "nul\0"])
def test_no_terminal_acts_upon_a_line(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().warning(f"event {said}", value=said, bare=said.replace(" ", ""))
    line = capsys.readouterr().err.rstrip("\n")
    assert line.isprintable()
    assert "event" in line


def test_a_traceback_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("\x1b[2Jboom")
    except ValueError:
        structlog.get_logger().exception("it failed")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == r"ValueError: \x1b[2Jboom"
    assert len(lines) > 3
