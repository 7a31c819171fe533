"""Which credentials are tried for an image, and in which order."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.core.given import container, pod
from vkprovider.core.pull_secrets import Login, logins, pull_secrets
from vkprovider.errors import SpecError
from vkprovider.model.refs import ObjectRef


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def config_json(**auths: Any) -> dict[str, Any]:
    return secret("dockerconfigjson", {"auths": auths})


def secret(kind: str, content: Any) -> dict[str, Any]:
    data = {f".{kind}": encoded(content if isinstance(content, str) else json.dumps(content))}
    return {"type": f"kubernetes.io/{kind}", "metadata": {"name": "login"}, "data": data}


def found(image: str, *places: str) -> list[str]:
    """The places, each with credentials of its own, in the order in which these are tried."""
    secrets = [config_json(**{place: {"username": place, "password": "p"}}) for place in places]
    return [login.username for login in logins(image, secrets)]


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("registry.example.com/app:1", "registry.example.com"),
        ("registry.example.com/app:1", "https://registry.example.com"),
        ("registry.example.com/app:1", "http://registry.example.com/"),
        ("registry.example.com/app:1", "https://registry.example.com/v2/"),
        ("registry.example.com/app:1", "*.example.com"),
        ("registry.example.com/app:1", "reg*.exam*.com"),
        ("registry.example.com/team/app@sha256:1", "registry.example.com/team"),
        ("registry.example.com/team/app", "registry.example.com/v1/team/app"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5000"),
        ("localhost/app", "localhost"),
        ("[::1]:5000/app", "[::1]:5000"),
        ("busybox", "docker.io"),
        ("busybox:1.28", "index.docker.io"),
        ("busybox:1.28", "https://index.docker.io/v1/"),
        ("someone/app", "https://index.docker.io/v1/"),
        ("docker.io/someone/app", "docker.io/someone"),
        ("index.docker.io/busybox", "docker.io/library/busybox"),
    ],
)
def test_credentials_for_an_image(image: str, place: str) -> None:
    assert found(image, place) == [place]


@pytest.mark.parametrize(
    ("image", "place"),
    [
        ("registry.example.com/app:1", "example.com"),
        ("registry.example.com/app:1", "*.com"),
        ("registry.example.com/app:1", "registry.example.com:5000"),
        ("registry.example.com/app:1", "registry.example.com/team"),
        ("127.0.0.1:5000/app:1", "127.0.0.1"),
        ("127.0.0.1:5000/app:1", "127.0.0.1:5001"),
        ("registry.example.com/app:1", "https://index.docker.io/v1/"),
        ("busybox", "registry.example.com"),
    ],
)
def test_credentials_for_other_images(image: str, place: str) -> None:
    assert found(image, place) == []


def test_the_most_specific_come_first_and_all_are_tried() -> None:
    places = ["quay.io", "*.io", "quay.io/team", "other.io"]
    assert found("quay.io/team/app:1", *places) == ["quay.io/team", "quay.io", "*.io"]


def test_docker_hubs_own_login_is_for_where_nothing_else_is() -> None:
    assert found("busybox", "index.docker.io", "docker.io") == ["docker.io"]


def test_of_several_secrets_for_one_registry_each_is_tried_in_the_pods_order() -> None:
    places = [config_json(localhost={"username": name, "password": "p"}) for name in "aba"]
    assert logins("localhost/x", places) == (Login("a", "p"), Login("b", "p"))


@pytest.mark.parametrize(
    "entry",
    [
        {"username": "me", "password": "s:cret"},
        {"auth": encoded("me:s:cret")},
        {"auth": encoded("me:s:cret").rstrip("=")},
        {"auth": encoded("me:s:cret"), "username": "x", "password": "y", "email": "z"},
    ],
)
@pytest.mark.parametrize("kind", ["dockerconfigjson", "dockercfg"])
def test_forms_of_a_login(kind: str, entry: dict[str, str]) -> None:
    entries = {"localhost": entry}
    raw = secret(kind, {"auths": entries} if kind == "dockerconfigjson" else entries)
    assert logins("localhost/x", [raw]) == (Login("me", "s:cret"),)


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "Opaque", "data": {".dockerconfigjson": encoded('{"auths": {"localhost": {"username": "a"}}}')}},
        {"type": "kubernetes.io/dockercfg", "data": {".dockerconfigjson": encoded("{}")}},
        {"type": "kubernetes.io/dockerconfigjson"},
        {},
    ],
)
def test_other_secrets_say_nothing(raw: dict[str, Any]) -> None:
    assert logins("localhost/x", [raw]) == ()


@pytest.mark.parametrize(
    "content", ["{", '{"auths": []}', {"auths": {"r": {"auth": "a b"}}}, {"auths": {"r": {"auth": encoded("me")}}}]
)
def test_a_secret_that_cannot_be_read_is_named_and_not_shown(content: Any) -> None:
    with pytest.raises(SpecError) as told:
        logins("localhost/x", [secret("dockerconfigjson", content)])
    why = ".dockerconfigjson is not what docker login writes"
    assert str(told.value) == f'secret "login" cannot be used to pull images: {why}'


def test_the_secrets_of_a_pod() -> None:
    given = pod(container("app"), imagePullSecrets=[{"name": "b"}, {"name": "a"}, {}, {"name": "b"}])
    assert pull_secrets(given) == (ObjectRef("Secret", "default", "b"), ObjectRef("Secret", "default", "a"))
