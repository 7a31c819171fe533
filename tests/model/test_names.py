"""Names as the API server takes and refuses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vkprovider.model import names

GOOD: list[tuple[Callable[[str], list[str]], str]] = [
    (names.label, "a"),
    (names.label, "a-1"),
    (names.label, "1" * 63),
    (names.subdomain, "a.b-c.1"),
    (names.subdomain, "a" * 253),
    (names.generated, "job-"),
    (names.search_domain, "a_b.example.com."),
    (names.search_domain, "."),
    (names.qualified, "app"),
    (names.qualified, "example.com/My_app.1"),
    (names.label_value, ""),
    (names.label_value, "A.b_c-1"),
    (names.env_name, "1 odd name!"),
    (names.env_name, "PATH"),
    (names.config_key, "..a"[1:]),
    (names.config_key, "a.B_c-1"),
    (names.header, "X-Probe"),
    (names.port_name, "http-1"),
]


@pytest.mark.parametrize(("rule", "value"), GOOD)
def test_takes(rule: Callable[[str], list[str]], value: str) -> None:
    assert rule(value) == []


LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)

BAD: list[tuple[Callable[[str], list[str]], str, list[str]]] = [
    (names.label, "App", [LABEL]),
    (names.label, "", [LABEL]),
    (names.label, "a\n", [LABEL]),
    (names.label, "a.b", ["must not contain dots"]),
    (names.label, "a" * 64, ["must be no more than 63 characters"]),
    (names.subdomain, "a_b", [SUBDOMAIN]),
    (names.subdomain, "a..b", [SUBDOMAIN]),
    (names.subdomain, "a" * 254, ["must be no more than 253 characters"]),
    (names.generated, "-", [SUBDOMAIN]),
    (names.search_domain, "a b", [SUBDOMAIN]),
    (names.qualified, "", ["name part must be non-empty", NAME_PART]),
    (names.qualified, "/a", ["prefix part must be non-empty"]),
    (names.qualified, "A/a", [f"prefix part {SUBDOMAIN}"]),
    (names.qualified, "a b", [NAME_PART]),
    (names.qualified, "a" * 64, ["name part must be no more than 63 characters"]),
    (names.label_value, "-", [LABEL_VALUE]),
    (names.label_value, "a" * 64, ["must be no more than 63 characters"]),
    (names.env_name, "", ["environment variable name must be non-empty"]),
    (
        names.env_name,
        "A=B",
        ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
    ),
    (names.config_key, "a/b", [CONFIG_KEY]),
    (names.config_key, ".", ["must not be '.'"]),
    (names.config_key, "..", ["must not be '..'"]),
    (names.config_key, "..a", ["must not start with '..'"]),
    (
        names.header,
        "a b",
        [
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
            "regex used for validation is '[-A-Za-z0-9]+')"
        ],
    ),
    (names.port_name, "a" * 16, ["must be no more than 15 characters"]),
    (
        names.port_name,
        "80",
        ["must contain at least one letter (a-z)"],
    ),
    (names.port_name, "a--b", ["must not contain consecutive hyphens"]),
    (names.port_name, "-a", ["must not begin or end with a hyphen"]),
    (names.port_name, "A1b", ["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"]),
]


@pytest.mark.parametrize(("rule", "value", "complaints"), BAD)
def test_refuses(rule: Callable[[str], list[str]], value: str, complaints: list[str]) -> None:
    assert rule(value) == complaints


def test_a_qualified_name_has_one_slash_at_most() -> None:
    [complaint] = names.qualified("a/b/c")
    assert complaint.startswith("a qualified name must consist of alphanumeric characters")
    assert complaint.endswith("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
