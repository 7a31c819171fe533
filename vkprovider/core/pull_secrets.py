"""The credentials that a pod brings for its images: which of its Secrets' entries are for an image's registry.

The rules are those of pkg/credentialprovider/{keyring,config}.go: most specific entry first, globs in host names, and
all that match, one after the other.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from vkprovider.core.objects import secret_bytes
from vkprovider.errors import SpecError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef

_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_HUB = "docker.io"
_HUB_LOGIN = "index.docker.io"  # what ``docker login`` calls it


class Login(NamedTuple):
    username: str
    password: str


class _Entry(msgspec.Struct):
    username: str = ""
    password: str = ""
    auth: str = ""  # base64 of username:password, which wins


class _Config(msgspec.Struct):
    auths: dict[str, _Entry] = {}


class _Location(NamedTuple):
    """Of a registry, or a part of one. ``host`` is in pieces: a glob matches within one of them."""

    host: tuple[str, ...]
    port: str
    path: str


def pull_secrets(pod: Pod) -> tuple[ObjectRef, ...]:
    """The Secrets that the pod names, in its order. Those of its ServiceAccount were added when it was admitted."""
    names = (secret.name for secret in pod.spec.image_pull_secrets)
    return tuple(ObjectRef("Secret", pod.metadata.namespace, name) for name in dict.fromkeys(names) if name)


def logins(image: str, secrets: Iterable[Mapping[str, Any]]) -> tuple[Login, ...]:
    """What to try for an image, in that order. Raises SpecError for a Secret whose content cannot be read."""
    known: dict[str, list[Login]] = {}
    for raw in secrets:
        for place, login in _entries(raw):
            known.setdefault(_key(place), []).append(login)
    repository = _repository(image)
    target = _location(repository)
    found = [login for key in sorted(known, reverse=True) if _matches(_location(key), target) for login in known[key]]
    if not found and repository.startswith(f"{_HUB}/"):
        found = known.get(_HUB_LOGIN, [])
    return tuple(dict.fromkeys(found))


def _entries(raw: Mapping[str, Any]) -> Iterator[tuple[str, Login]]:
    """Places and logins of a Secret; none where it is of another type."""
    kind, name = raw.get("type", ""), (raw.get("metadata") or {}).get("name", "")
    content = secret_bytes(raw).get(_KEYS[kind], b"") if kind in _KEYS else b""
    if not content:
        return
    try:
        if kind == "kubernetes.io/dockercfg":
            entries = msgspec.json.decode(content, type=dict[str, _Entry])
        else:
            entries = msgspec.json.decode(content, type=_Config).auths
        for place, entry in entries.items():
            yield place, _login(entry)
    except (msgspec.MsgspecError, ValueError) as exc:
        # Not the cause itself: it may repeat what it cannot read.
        why = f"{_KEYS[kind]} is not what docker login writes"
        raise SpecError(f'secret "{name}" cannot be used to pull images: {why}') from exc


def _login(entry: _Entry) -> Login:
    """Raises ValueError."""
    if not entry.auth:
        return Login(entry.username, entry.password)
    padded = entry.auth.strip().rstrip("=")
    text = binascii.a2b_base64(padded + "=" * (-len(padded) % 4), strict_mode=True).decode()
    username, colon, password = text.partition(":")
    if not colon:
        raise ValueError("no colon")
    return Login(username, password)


def _key(place: str) -> str:
    """Where credentials are for: a host, with a path where only a part of the registry is meant."""
    host, slash, path = place.removeprefix("https://").removeprefix("http://").partition("/")
    path = slash + path
    path = path[3:] if path.startswith(("/v1/", "/v2/")) else path
    return host + (path if path != "/" else "")


def _repository(image: str) -> str:
    """The repository with its registry: busybox:1.28 is docker.io/library/busybox."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    host, slash, rest = name.partition("/")
    if not slash:
        return f"{_HUB}/library/{name}"
    if host in (_HUB, _HUB_LOGIN):
        return f"{_HUB}/{rest if '/' in rest else f'library/{rest}'}"
    is_host = "." in host or ":" in host or host == "localhost"
    return name if is_host else f"{_HUB}/{name}"


def _location(text: str) -> _Location:
    host, slash, path = text.partition("/")
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    return _Location(tuple(name.strip("[]").split(".")), port, slash + path)


def _matches(pattern: _Location, target: _Location) -> bool:
    """A host matches piece by piece, a port exactly, a path as a prefix."""
    if pattern.port != target.port or len(pattern.host) != len(target.host):
        return False
    return target.path.startswith(pattern.path) and all(map(fnmatchcase, target.host, pattern.host))
