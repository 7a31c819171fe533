"""A pod's token is renewed at 80 % of its life: by a node whose clock is ahead of that of the API server."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .clients import Cluster
from .clocks import WallClock
from .home import Home, docker
from .identities import Access
from .nodes import NodeProcess, shell
from .showing import in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

LIFE = timedelta(minutes=10)  # the shortest that the API server gives
DUE = 0.8 * LIFE
EARLIEST = DUE - timedelta(seconds=10)  # so that not all are due at once
BEFORE = DUE - timedelta(seconds=30)
LATE = DUE + timedelta(seconds=10)
AUDIENCE = "vault"


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


@pytest.fixture
def home(
    cluster: Cluster, access: Access, image: None, namespace: str, clock: WallClock, tmp_path: Path
) -> Iterator[Home]:
    """A node that goes by that clock."""
    node = NodeProcess(cluster, f"node-{uuid4().hex[:8]}", tmp_path, access)
    node.environment = clock.environment
    with node:
        yield Home(cluster, namespace, node)
        cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
        eventually(lambda: not in_docker(node))


def asked(cluster: Cluster) -> float:
    """For how many tokens the API server was asked so far."""
    lines = cluster.kubectl("get", "--raw", "/metrics").splitlines()
    mine = [line for line in lines if line.startswith("apiserver_request_total{") and 'subresource="token"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in mine)


def review(cluster: Cluster, token: str) -> Any:
    """What the API server says of a token to the one it is for."""
    wanted = {"token": token, "audiences": [AUDIENCE]}
    raw = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": wanted}
    return json.loads(cluster.kubectl("create", "-f", "-", "--output=json", stdin=json.dumps(raw)))["status"]


def issued(token: str) -> datetime:
    """When it was given, by the API server's clock; it must be one of the life that the pod has asked for."""
    claims = token.split(".")[1]
    told = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert timedelta(seconds=told["exp"] - told["iat"]) == LIFE
    return datetime.fromtimestamp(told["iat"], UTC)


def test_a_token_is_renewed_at_80_percent_of_its_life(home: Home, clock: WallClock) -> None:
    token = {"path": "token", "audience": AUDIENCE, "expirationSeconds": LIFE.seconds}
    note = {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}}
    sources = [{"serviceAccountToken": token}, {"downwardAPI": {"items": [note]}}]
    app = shell("app", "trap 'exit 0' TERM; sleep 1000 & wait", volumeMounts=[{"name": "at", "mountPath": "/at"}])
    volumes = [{"name": "at", "projected": {"sources": sources}}]
    home.create("web", app, volumes=volumes, automountServiceAccountToken=False)
    home.until_phase("Running", "web")
    uid, container = home.uid("web"), home.container("web", "app")
    (files,) = home.node.folder.glob(f"nodes/*/pods/{uid}/volumes/kubernetes.io~projected/at")

    def seen() -> list[str]:
        """By the container: the directory that holds the files now, the note, and the token."""
        show = "readlink /at/..data; echo $(cat /at/note); cat /at/token"
        return docker("exec", container, "sh", "-c", show).split("\n")

    first, _, old = seen()
    before, begun = asked(home.cluster), issued(old)

    clock.set(begun + BEFORE)
    home.cluster.kubectl("annotate", "pod", "web", "note=anew", f"--namespace={home.namespace}")
    eventually(lambda: (files / "note").read_text() == "anew")
    assert seen()[1:] == ["anew", old]
    assert asked(home.cluster) == before  # the volume was made anew, with the token at hand
    assert clock.now() < begun + EARLIEST, "this machine is too slow to tell"

    eventually(lambda: (files / "token").read_text() != old, 60)
    assert EARLIEST <= clock.now() - begun < LATE
    second, _, new = seen()
    assert (second != first, new != old, asked(home.cluster)) == (True, True, before + 1)
    told = review(home.cluster, new)
    assert (told["authenticated"], told["audiences"]) == (True, [AUDIENCE])
    extra = told["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["web"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [uid]
    assert issued(new) - begun < BEFORE  # by its own clock the API server would still take the old one

    home.delete("web")
    eventually(lambda: not home.there())
    for each in (old, new):  # the API server remembers for 10 s what it has said
        eventually(lambda each=each: not review(home.cluster, each).get("authenticated"), 30)
