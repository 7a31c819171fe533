"""Images' names: whether one is valid (distribution/reference, as the kubelet's "Failed to apply default image tag"),
and which repository it is of.
"""

from __future__ import annotations

import re

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG, _DIGEST = r"(?::[\w][\w.-]{0,127})?", r"(?:@[a-zA-Z][\w+.-]*:[0-9a-fA-F]{32,})?"
_REFERENCE = re.compile(rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*{_TAG}{_DIGEST}", re.ASCII)
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


def invalid_image_name(image: str) -> str | None:
    """What is wrong with an image's name in the kubelet's words, or None."""
    if _ID.fullmatch(image) or _REFERENCE.fullmatch(image):
        return None
    why = "invalid reference format"
    if _REFERENCE.fullmatch(image.lower()):
        why = "invalid reference format: repository name must be lowercase"
    return f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'


def repository(image: str) -> str:
    """An image's name without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def full_repository(name: str) -> str:
    """A repository's name with what Docker lets one leave out."""
    host, slash, _ = name.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return name.replace("index.docker.io/", "docker.io/", 1)
    return f"docker.io/{name if slash else f'library/{name}'}"
