"""Projected and downwardAPI volumes: what each source becomes, and what is said of those that cannot be had."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from tests.core.given import T0, at, container, pod
from vkprovider.core.objects import Objects
from vkprovider.core.projections import Fetched, File, NodeShare, projected_files, shows_pod
from vkprovider.core.tokens import Token, Tokens, needed_tokens, renewal
from vkprovider.core.volumes import needed_objects
from vkprovider.errors import VkError
from vkprovider.model.pod import Pod
from vkprovider.model.refs import ObjectRef, PodUID, TokenRef

ROOT_CA = ObjectRef("ConfigMap", "default", "kube-root-ca.crt")
SECRET = ObjectRef("Secret", "default", "keys")
TOKEN = TokenRef("default", "default", "p", PodUID("u"), "", 3607)
OBJECTS: Objects = {
    ROOT_CA: {"data": {"ca.crt": "CERT"}},
    SECRET: {"data": {"a": b64encode(b"1").decode(), "b": b64encode(b"2").decode()}},
}
TOKENS: Tokens = {TOKEN: Token(value="t0", renew_at=at(60))}
NODE = NodeShare(memory=1 << 30, allocatable={"cpu": "4"})

# What the admission plugin ServiceAccount adds to every pod.
TOKEN_SOURCE = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
CA_SOURCE = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
NAMESPACE = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
NAMESPACE_SOURCE = {"downwardAPI": {"items": [NAMESPACE]}}


def projected(*sources: dict[str, Any], **spec: Any) -> Pod:
    volume = {"name": "v", "projected": {"sources": list(sources), "defaultMode": 0o644}}
    return pod(spec.pop("app", container("app")), volumes=[volume], **spec)


def files(of: Pod, objects: Objects = OBJECTS, tokens: Tokens = TOKENS, node: NodeShare = NODE) -> tuple[File, ...]:
    fetched = Fetched(objects=dict.fromkeys(needed_objects(of)) | dict(objects), tokens=tokens)
    return projected_files(of, of.spec.volumes[0], fetched, node)


def test_what_every_pod_in_a_cluster_has() -> None:
    given = projected(TOKEN_SOURCE, CA_SOURCE, NAMESPACE_SOURCE)
    assert needed_tokens(given) == {TOKEN}
    assert needed_objects(given) == {ROOT_CA}
    assert files(given) == (
        File(path="token", data=b"t0", mode=0o644),
        File(path="ca.crt", data=b"CERT", mode=0o644),
        File(path="namespace", data=b"default", mode=0o644),
    )


ALL_1000 = {"app": container("app", securityContext={"runAsUser": 1000})}


@pytest.mark.parametrize(
    ("spec", "may_chown", "mode", "owner"),
    [
        ({}, True, 0o644, None),
        (ALL_1000, True, 0o600, 1000),
        (ALL_1000, False, 0o644, None),
        (ALL_1000 | {"inits": (container("init"),)}, True, 0o644, None),
        ({"securityContext": {"runAsUser": 7}, "inits": (container("init"),)}, True, 0o600, 7),
        ({"securityContext": {"runAsUser": 7}, **ALL_1000, "inits": (container("init"),)}, True, 0o644, None),
        ({"securityContext": {"fsGroup": 5}}, True, 0o600, None),
        ({"securityContext": {"fsGroup": 5}}, False, 0o600, None),
    ],
)
def test_who_may_read_a_token(spec: dict[str, Any], may_chown: bool, mode: int, owner: int | None) -> None:
    (token,) = files(projected(TOKEN_SOURCE, **spec), node=NodeShare(memory=1, may_chown=may_chown))
    assert (token.mode, token.owner) == (mode, owner)


def test_a_token_for_somebody_else() -> None:
    source = {"serviceAccountToken": {"audience": "vault", "path": "d/token"}}
    given = projected(source, serviceAccountName="robot")
    ref = TokenRef("default", "robot", "p", PodUID("u"), "vault", 3600)
    assert needed_tokens(given) == {ref}
    assert files(given, tokens={ref: Token(value="x", renew_at=T0)}) == (File(path="d/token", data=b"x", mode=0o644),)


def test_the_last_source_of_a_path_wins() -> None:
    first = {"secret": {"name": "keys", "items": [{"key": "a", "path": "x", "mode": 0o400}]}}
    second = {"secret": {"name": "keys", "items": [{"key": "b", "path": "x"}]}}
    assert files(projected(first, second)) == (File(path="x", data=b"2", mode=0o644),)


def test_what_is_optional_may_be_missing() -> None:
    config, secret = ({kind: {"name": "nowhere", "optional": True}} for kind in ("configMap", "secret"))
    assert files(projected(config, secret, NAMESPACE_SOURCE)) == (File(path="namespace", data=b"default", mode=0o644),)


NO_KIND = "v: source 0 is of a kind that vkprovider does not have"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([{"secret": {"name": "nowhere"}}], 'secret "nowhere" not found'),
        (
            [{"secret": {"name": "nowhere"}}, CA_SOURCE, {"configMap": {"name": "nowhere"}}],
            '[secret "nowhere" not found, configmap "nowhere" not found]',
        ),
        ([{}], NO_KIND),
        ([{"serviceAccountToken": {"path": "../token", "expirationSeconds": 3607}}], "invalid path: must not contain"),
        ([{"downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "spec.x"}}]}}], "unsupported fieldPath"),
    ],
)
def test_what_cannot_be_had(sources: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(VkError) as told:
        files(projected(*sources))
    assert str(told.value).startswith(message)


def test_an_api_server_that_gives_no_token() -> None:
    with pytest.raises(VkError, match="failed to fetch token: may not create serviceaccounts/token"):
        files(projected(TOKEN_SOURCE), tokens={TOKEN: VkError("may not create serviceaccounts/token")})


def test_an_object_that_cannot_be_had_now() -> None:
    with pytest.raises(VkError, match="the API server is away"):
        files(projected(CA_SOURCE), {ROOT_CA: VkError("the API server is away")})


def test_a_downward_volume() -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "app", "resource": "limits.cpu"}, "mode": 0o400},
    ]
    given = pod(container("app"), volumes=[{"name": "v", "downwardAPI": {"items": items, "defaultMode": 0o640}}])
    assert files(given) == (File(path="labels", data=b"", mode=0o640), File(path="cpu", data=b"4", mode=0o400))


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ({"downwardAPI": {"items": []}}, True),
        ({"projected": {"sources": [CA_SOURCE, NAMESPACE_SOURCE]}}, True),
        ({"projected": {"sources": [CA_SOURCE, TOKEN_SOURCE]}}, False),
        ({"configMap": {"name": "c"}}, False),
    ],
)
def test_which_volumes_change_with_the_pod(source: dict[str, Any], shows: bool) -> None:
    assert shows_pod(pod(container("app"), volumes=[{"name": "v", **source}]).spec.volumes[0]) is shows


@pytest.mark.parametrize(
    ("seconds", "spread", "after"),
    [
        (3600, 0.0, 2880),
        (3600, 1.0, 2870),
        (3607, 0.5, 3607 * 0.8 - 5),
        (7 * 86400, 0.0, 86400),
        (7 * 86400, 1.0, 86390),
    ],
)
def test_a_token_is_renewed_at_80_percent_of_its_life_or_24_hours_old(
    seconds: int, spread: float, after: float
) -> None:
    assert renewal(at(seconds), seconds, spread) == T0 + timedelta(seconds=after)
