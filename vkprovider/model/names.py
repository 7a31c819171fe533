"""Which strings may name what. Each function gives the API server's complaints about one string, none if it is fine.

apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SEARCH_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCH_DOMAIN = rf"{_SEARCH_LABEL}(\.{_SEARCH_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"
_ALPHANUMERIC_ENDS = "and must start and end with an alphanumeric character"

SUBDOMAIN_MAX = 253
LABEL_MAX = 63
PORT_NAME_MAX = 15


def label(value: str) -> list[str]:
    """A DNS-1123 label: containers, volumes, namespaces, host names."""
    found = _longer(value, LABEL_MAX)
    if not re.fullmatch(_LABEL, value):
        if re.fullmatch(_SUBDOMAIN, value):
            return [*found, "must not contain dots"]
        rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        rule += _ALPHANUMERIC_ENDS
        found.append(_form(rule, _LABEL, "my-name", "123-abc"))
    return found


def subdomain(value: str) -> list[str]:
    """A DNS-1123 subdomain: Pods, Jobs, ConfigMaps, Secrets, service accounts."""
    found = _longer(value, SUBDOMAIN_MAX)
    if not re.fullmatch(_SUBDOMAIN, value):
        rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
        rule += _ALPHANUMERIC_ENDS
        found.append(_form(rule, _SUBDOMAIN, "example.com"))
    return found


def generated(prefix: str) -> list[str]:
    """A ``generateName``: a subdomain that may end in a dash, since something follows it."""
    return subdomain(prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix)


def search_domain(value: str) -> list[str]:
    """A DNS search path; since 1.34 underscores and a lone dot are allowed."""
    if value == "." or re.fullmatch(_SEARCH_DOMAIN, value.removesuffix(".")):
        return []
    return subdomain(value.removesuffix("."))


def qualified(value: str) -> list[str]:
    """A name with an optional DNS prefix: label keys, annotation keys, condition types, resources."""
    *prefixes, name = value.split("/")
    rule = f"must consist of alphanumeric characters, '-', '_' or '.', {_ALPHANUMERIC_ENDS}"
    form = _form(rule, _QUALIFIED, "MyName", "my.name", "123-abc")
    if len(prefixes) > 1:
        return [f"a qualified name {form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    found = []
    if prefixes == [""]:
        found.append("prefix part must be non-empty")
    elif prefixes:
        found += [f"prefix part {complaint}" for complaint in subdomain(prefixes[0])]
    if not name:
        found.append("name part must be non-empty")
    found += [f"name part {complaint}" for complaint in _longer(name, LABEL_MAX)]
    if not re.fullmatch(_QUALIFIED, name):
        found.append(f"name part {form}")
    return found


def label_value(value: str) -> list[str]:
    found = _longer(value, LABEL_MAX)
    if not re.fullmatch(_LABEL_VALUE, value):
        rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
        rule += _ALPHANUMERIC_ENDS
        found.append(_form(rule, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return found


def env_name(value: str) -> list[str]:
    """An environment variable; anything printable since 1.34 (RelaxedEnvironmentVariableValidation)."""
    if not value:
        return ["environment variable name must be non-empty"]
    if not re.fullmatch(r"[ -<>-~]+", value):
        return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
    return []


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    found = _longer(value, SUBDOMAIN_MAX)
    if not re.fullmatch(_CONFIG_KEY, value):
        rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(_form(rule, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if value in (".", ".."):
        found.append(f"must not be '{value}'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return found


def bundle(value: str) -> list[str]:
    """A ClusterTrustBundle: a subdomain, after its signer's name with ``:`` for ``/`` where it is a signer's."""
    signer, _, name = value.rpartition(":")
    if not signer:
        return subdomain(value)
    whose = [f"its signer's name {complaint}" for complaint in signer_name(signer.replace(":", "/"))]
    return whose + subdomain(name)


def signer_name(value: str) -> list[str]:
    """A signer of certificates, as ``example.com/signer-name`` (core/validation/names.go ValidateSignerName)."""
    domain, slash, path = value.partition("/")
    if not slash or "/" in path:
        return ["must be a fully qualified domain and path of the form 'example.com/signer-name'"]
    found = _longer(domain, SUBDOMAIN_MAX) + _longer(path, SUBDOMAIN_MAX + LABEL_MAX + 1)
    if "." not in domain:
        found.append("should be a domain with at least two segments separated by dots")
    parts = [(part, label(part)) for part in domain.split(".")] + [(part, subdomain(part)) for part in path.split(".")]
    return found + [f'validating label "{part}": {complaint}' for part, complaints in parts for complaint in complaints]


def header(value: str) -> list[str]:
    """An HTTP header's name."""
    if re.fullmatch(_HEADER, value):
        return []
    return [_form("a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")]


def port_name(value: str) -> list[str]:
    """An IANA service name."""
    found = _longer(value, PORT_NAME_MAX)
    if not re.fullmatch("[-a-z0-9]+", value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def _longer(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value) > limit else []


def _form(rule: str, pattern: str, *examples: str) -> str:
    quoted = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {quoted}regex used for validation is '{pattern}')"
