"""Settings, read once and frozen: where state is kept, and how decisions may be tuned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from vkprovider.errors import VkError

BRINGS_CLUSTER = "pip install '.[cluster]' in the checkout of vkprovider brings it"  # what a missing module lacks
PROFILES = "seccomp"  # in the state directory: the profiles that pods name with type Localhost


class ConfigError(VkError):
    """A setting that cannot be used. The message names it and says what it should be."""

    reason = "InvalidConfiguration"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``state_dir`` must be seen under the same path by the engine: pods' volumes are mounted from it."""

    state_dir: Path
    sandbox_image: str = ""  # "" for the built-in one
    forgive: str = "all"  # whose exit codes are forgiven: all sidecars, marked ones, none


def load_settings(
    environ: Mapping[str, str], *, state_dir: str = "", sandbox_image: str = "", forgive: str = "all"
) -> Settings:
    """Settings from flags (which win) and the environment. Raises ConfigError."""
    directory = state_dir or environ.get("VKPROVIDER_STATE_DIR") or _default_state_dir(environ)
    if not os.path.isabs(directory):
        directory = os.path.abspath(directory)
    return Settings(
        state_dir=Path(directory),
        sandbox_image=sandbox_image or environ.get("VKPROVIDER_SANDBOX_IMAGE", ""),
        forgive=forgive,
    )


def _default_state_dir(environ: Mapping[str, str]) -> str:
    if os.geteuid() == 0:
        return "/var/lib/vkprovider"
    home = environ.get("HOME")
    base = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else "")
    if not base:
        raise ConfigError("neither XDG_STATE_HOME nor HOME is set: give --state-dir DIRECTORY")
    return f"{base}/vkprovider"
