"""structlog for people: one line each, on standard error."""

from __future__ import annotations

import contextlib
import logging
import sys

import structlog
from structlog.typing import EventDict

_LAYOUT = "\n\t"  # of tracebacks, and of messages in several lines


class _StandardError:
    """Whatever is standard error when a line is written. A reader that has gone away costs the line, never a pod."""

    def warning(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)

    debug = info = error = critical = warning


def _without_controls(_: object, __: str, event: EventDict) -> EventDict:
    """What pods, registries and engines say may hold anything: no terminal acts upon it."""
    return {key: _harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def _harmless(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _LAYOUT else c.encode("unicode_escape").decode() for c in text)


def set_up_logging(level: int = logging.WARNING) -> None:
    """Log lines of at least ``level`` to whatever is standard error when they are written: a live display puts
    itself there for as long as it lasts.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_controls,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _StandardError(),
    )
