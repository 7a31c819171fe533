"""``vkprovider webhook`` that cannot serve says why, and ends."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.fakes.api_server import write_kubeconfig
from vkprovider.config import ConfigError
from vkprovider.kube.webhook.settings import WebhookFlags
from vkprovider.webhook_app import webhook


def test_flags_that_cannot_be_used_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^--service: 'webhook' is not of the form NAMESPACE/NAME$"):
        webhook(WebhookFlags(service="webhook"), "")


def test_a_kubeconfig_that_is_none_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert webhook(WebhookFlags(), str(tmp_path / "none")) == 125
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_context_that_there_is_none_of_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    assert webhook(WebhookFlags(), str(kubeconfig), "other") == 125
    assert "other" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        assert webhook(WebhookFlags(address="127.0.0.1", port=port), str(kubeconfig)) == 125
    assert f"port {port} cannot be listened on" in capsys.readouterr().err
