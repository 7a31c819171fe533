"""A pod's token is renewed at 80 % of its life: by a node whose clock is ahead of that of the API server. Where that is
away just then, the token stays until it is back.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .clients import Cluster
from .clocks import WallClock
from .home import UNTIL_TOLD, Home, docker
from .identities import Access
from .nodes import NodeProcess, shell
from .probes import free_ports
from .relay import Relay
from .showing import Json, container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

LIFE = timedelta(minutes=10)  # the shortest that the API server gives
DUE = 0.8 * LIFE
EARLIEST = DUE - timedelta(seconds=10)  # so that not all are due at once
BEFORE = DUE - timedelta(seconds=30)
LATE = DUE + timedelta(seconds=10)
RETRY = timedelta(minutes=1)  # where none is to be had, and the old one holds
AUDIENCE = "vault"
LOOPBACK = "127.0.0.1"


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


@contextmanager
def living(cluster: Cluster, namespace: str, clock: WallClock, folder: Path, access: Access) -> Iterator[Home]:
    """A node that goes by that clock."""
    node = NodeProcess(cluster, f"node-{uuid4().hex[:8]}", folder, access)
    node.environment = clock.environment
    with node:
        yield Home(cluster, namespace, node)
        cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
        eventually(lambda: not in_docker(node))


@pytest.fixture
def home(
    cluster: Cluster, access: Access, image: None, namespace: str, clock: WallClock, tmp_path: Path
) -> Iterator[Home]:
    with living(cluster, namespace, clock, tmp_path, access) as home:
        yield home


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


def running(home: Home, *containers: Json) -> tuple[str, Path]:
    """A pod that has a token and a note in one volume: its uid, and where the files are."""
    token = {"path": "token", "audience": AUDIENCE, "expirationSeconds": LIFE.seconds}
    note = {"path": "note", "fieldRef": {"fieldPath": "metadata.annotations['note']"}}
    sources = [{"serviceAccountToken": token}, {"downwardAPI": {"items": [note]}}]
    app = shell("app", "trap 'exit 0' TERM; sleep 1000 & wait", volumeMounts=[{"name": "at", "mountPath": "/at"}])
    volumes = [{"name": "at", "projected": {"sources": sources}}]
    home.create("web", app, *containers, volumes=volumes, automountServiceAccountToken=False)
    home.until_phase("Running", "web")
    uid = home.uid("web")
    (files,) = home.node.folder.glob(f"nodes/*/pods/{uid}/volumes/kubernetes.io~projected/at")
    return uid, files


def test_a_token_is_renewed_at_80_percent_of_its_life(home: Home, clock: WallClock) -> None:
    uid, files = running(home)
    container = home.container("web", "app")

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


def test_the_token_stays_while_the_api_server_is_away(
    cluster: Cluster, access: Access, image: None, namespace: str, clock: WallClock, tmp_path: Path
) -> None:
    """As this one node sees it: the way there is cut."""

    def by_way(name: str) -> Path:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(access(name).read_text().replace(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{way.path}"))
        return kubeconfig

    found = re.search(rf"https://{LOOPBACK}:(\d+)", access("any").read_text())
    if found is None:
        pytest.skip("the API server of this cluster is not on this machine")
    port = int(found[1])
    way = Relay(*free_ports(1), port)
    way.open()
    with closing(way), living(cluster, namespace, clock, tmp_path, by_way) as home:
        _, files = running(home, shell("ends", UNTIL_TOLD))
        old, shown = (files / "token").read_text(), (files / "..data").readlink()
        way.close()
        clock.set(issued(old) + LATE)
        home.tell("web", "ends")  # its end has the node look at the pod
        eventually(lambda: "a token cannot be renewed; the old one goes on" in home.node.log)
        assert ((files / "token").read_text(), (files / "..data").readlink()) == (old, shown)
        way.open()
        clock.set(issued(old) + LATE + RETRY)
        cluster.kubectl("annotate", "pod", "web", "note=anew", f"--namespace={namespace}")
        eventually(lambda: (files / "token").read_text() != old, 30)
        assert review(cluster, (files / "token").read_text())["authenticated"]
        assert "running" in container_status(home.status("web"), "app")["state"]
        assert {reason for reason, _ in home.events("web")} & {"FailedMount", "Killing"} == set()
