"""structlog for people: warnings and worse on standard error, one line each."""

from __future__ import annotations

import logging
from typing import TextIO

import structlog


def set_up_logging(stream: TextIO, level: int = logging.WARNING) -> None:
    """Log lines of at least ``level`` to ``stream``."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=stream.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
