"""ConfigMaps and Secrets that the API server would not take, and its words for it."""

from __future__ import annotations

from typing import Any

import pytest

from vkprovider.model.manifest import ConfigMapManifest, SecretManifest
from vkprovider.model.pod import read_as
from vkprovider.model.validation import config_map_findings, secret_findings

from .test_names import CONFIG_KEY


def data_object(kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "d"}} | fields


CONFIG: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"data": {"a/b": ""}}, f'data[a/b]: Invalid value: "a/b": {CONFIG_KEY}'),
    "base64": ({"binaryData": {"a": "???"}}, "binaryData[a]: Invalid value: must be base64"),
    "key twice": (
        {"data": {"a": ""}, "binaryData": {"a": ""}},
        'binaryData[a]: Invalid value: "a": duplicate of key present in data',
    ),
    "size": ({"data": {"a": "x" * 1048576}}, "data: Too long: may not be more than 1048576 bytes"),
}


@pytest.mark.parametrize(("fields", "line"), CONFIG.values(), ids=CONFIG)
def test_a_config_map_is_refused(fields: dict[str, Any], line: str) -> None:
    config = read_as(ConfigMapManifest, data_object("ConfigMap", **fields))
    assert [str(finding) for finding in config_map_findings(config)] == [line]


def test_a_secret_of_plain_text_is_refused_without_repeating_it() -> None:
    secret = read_as(SecretManifest, data_object("Secret", data={"a": "s3cr3t!"}))
    assert [str(finding) for finding in secret_findings(secret)] == [
        "data[a]: Invalid value: must be base64: plain text goes under stringData"
    ]


def test_base64_may_be_broken_into_lines() -> None:
    secret = read_as(SecretManifest, data_object("Secret", data={"a": "YW\nJj\n"}, stringData={"b": "plain"}))
    assert list(secret_findings(secret)) == []
