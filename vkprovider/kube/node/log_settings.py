"""What is kept of pods' output, and where: from flags that are the kubelet's (pkg/kubelet/apis/config/validation)."""

from __future__ import annotations

import os

import msgspec

from vkprovider.config import ConfigError
from vkprovider.errors import SpecError
from vkprovider.model.create import LogLimits
from vkprovider.model.quantity import parse

LEAST_FILES = 2  # else a log that is begun anew would be lost as a whole


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``directory`` is where all pods' logs are written to as files, "" for those alone that mount them."""

    limits: LogLimits = LogLimits()
    directory: str = ""


def load_log_settings(max_size: str, max_files: int, directory: str) -> LogSettings:
    """Raises ConfigError, whose message names the flag."""
    if max_files < LEAST_FILES:
        raise ConfigError(f"--container-log-max-files: {max_files} is less than {LEAST_FILES}")
    if directory and not os.path.isabs(directory):
        raise ConfigError(f"--pod-logs-dir: {directory!r} is no absolute path")
    return LogSettings(limits=LogLimits(max_bytes=_bytes(max_size), max_files=max_files), directory=directory)


def _bytes(max_size: str) -> int:
    try:
        size = parse(max_size)
    except SpecError as exc:
        raise ConfigError(f"--container-log-max-size: {exc}") from exc
    if size < 1:
        raise ConfigError(f"--container-log-max-size: {max_size} is less than a byte")
    return int(size)
