"""Settings from flags and the environment, flags first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vkprovider.config import ConfigError, load_settings

ROOT, USER = 0, 1000


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: USER)


@pytest.mark.parametrize(
    ("uid", "environ", "flag", "expected"),
    [
        (ROOT, {}, "", "/var/lib/vkprovider"),
        (ROOT, {"HOME": "/root", "XDG_STATE_HOME": "/x"}, "", "/var/lib/vkprovider"),
        (ROOT, {"VKPROVIDER_STATE_DIR": "/from/environment"}, "", "/from/environment"),
        (ROOT, {"VKPROVIDER_STATE_DIR": "/from/environment"}, "/from/flag", "/from/flag"),
        (USER, {"HOME": "/home/u"}, "", "/home/u/.local/state/vkprovider"),
        (USER, {"HOME": "/home/u", "XDG_STATE_HOME": ""}, "", "/home/u/.local/state/vkprovider"),
        (USER, {"HOME": "/home/u", "XDG_STATE_HOME": "/x"}, "", "/x/vkprovider"),
        (USER, {"XDG_STATE_HOME": "/x"}, "", "/x/vkprovider"),
        (USER, {"HOME": "/home/u", "VKPROVIDER_STATE_DIR": ""}, "", "/home/u/.local/state/vkprovider"),
        (USER, {}, "/from/flag", "/from/flag"),
    ],
)
def test_where_state_is_kept(
    monkeypatch: pytest.MonkeyPatch, uid: int, environ: dict[str, str], flag: str, expected: str
):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert load_settings(environ, state_dir=flag).state_dir == Path(expected)


@pytest.mark.parametrize("by_flag", [True, False])
def test_a_relative_directory_is_taken_from_where_the_command_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_flag: bool
):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({} if by_flag else {"VKPROVIDER_STATE_DIR": "a/../state"}, state_dir="state" * by_flag)
    assert settings.state_dir == tmp_path / "state"


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("environ", [{}, {"HOME": ""}])
def test_without_any_place_for_state_one_must_be_given(environ: dict[str, str]):
    with pytest.raises(ConfigError, match="neither XDG_STATE_HOME nor HOME is set: give --state-dir DIRECTORY"):
        load_settings(environ)


@pytest.mark.parametrize(
    ("environ", "flag", "expected"),
    [
        ({}, "", ""),
        ({"VKPROVIDER_SANDBOX_IMAGE": "mine:1"}, "", "mine:1"),
        ({"VKPROVIDER_SANDBOX_IMAGE": "mine:1"}, "yours:1", "yours:1"),
    ],
)
def test_the_sandbox_image(environ: dict[str, str], flag: str, expected: str):
    assert load_settings(environ, state_dir="/s", sandbox_image=flag).sandbox_image == expected


def test_forgiveness():
    assert load_settings({}, state_dir="/s").forgive == "all"
    assert load_settings({}, state_dir="/s", forgive="none").forgive == "none"
