"""ConfigMaps as large as the API server takes them, and pods with thousands of variables: what fits runs, and what the
kernel does not take fails in its words, to nobody else's harm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from .clients import Cluster
from .home import Home, docker
from .nodes import NodeProcess, on, shell
from .showing import Json, container_status, in_docker, pod
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

IDLE = "trap 'exit 0' TERM; sleep 1000 & wait"
LARGEST = (1 << 20) - 8  # bytes in a ConfigMap beside a small value (pkg/apis/core MaxSecretSize)
LIVE_SECONDS = 2.0  # from the answer to a change until a container sees it
LONG = {"one": "y" * LARGEST, "level": "1"}  # the kernel takes 128 KiB in a variable (MAX_ARG_STRLEN)
MANY = {f"K{n}": "x" * 500 for n in range(2000)}
THOUSANDS = [{"name": f"V{n}", "value": "x" * 40} for n in range(5000)]


@pytest.fixture
def home(cluster: Cluster, namespace: str, node: NodeProcess) -> Iterator[Home]:
    yield Home(cluster, namespace, node)
    cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
    eventually(lambda: not in_docker(node), 30)


def create(home: Home, raw: Json) -> None:
    """What is applied is written into itself once more, and is too large for that."""
    home.cluster.kubectl("create", f"--namespace={home.namespace}", "-f", "-", stdin=json.dumps(raw))


def config_map(home: Home, name: str, data: dict[str, str]) -> None:
    create(home, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def app(home: Home, name: str, script: str, **fields: Json | list[Json] | str) -> None:
    create(home, pod(name, on(home.node.name, shell("app", script, **fields))))


def soon(holds: Callable[[], object]) -> None:
    begun = time.monotonic()
    eventually(holds)
    assert time.monotonic() - begun < LIVE_SECONDS


def test_files(home: Home) -> None:
    config_map(home, "long", LONG)
    config_map(home, "many", MANY)
    names = ("long", "many")
    volumes = [{"name": name, "configMap": {"name": name}} for name in names]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
    home.create("web", shell("app", IDLE, volumeMounts=mounts), volumes=volumes)
    home.until_phase("Running", "web")
    container = home.container("web", "app")
    shown = docker("exec", container, "sh", "-c", "wc -c </long/one; ls /many | wc -l; cat /many/K1999 | wc -c")
    assert shown.split() == [str(LARGEST), "2000", "500"]
    for name, key in (("long", "level"), ("many", "K7")):
        patch = json.dumps({"data": {key: "2"}})
        home.cluster.kubectl("patch", "configmap", name, f"--namespace={home.namespace}", "--patch", patch)
        soon(lambda path=f"/{name}/{key}": docker("exec", container, "cat", path) == "2")


def test_variables(home: Home) -> None:
    config_map(home, "long", LONG)
    config_map(home, "many", MANY)
    many = {"configMapRef": {"name": "many"}}
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    app(home, "long", "true", envFrom=[{"configMapRef": {"name": "long"}}], **fallback)
    app(home, "most", "true", envFrom=[{"prefix": prefix} | many for prefix in "ABC"], **fallback)
    app(home, "many", "env | grep -c ^A >/dev/termination-log", envFrom=[{"prefix": "A"} | many])
    app(home, "own", "env | grep -c ^V >/dev/termination-log", env=THOUSANDS)
    app(home, "plain", "true")
    home.until_phase("Failed", "long", "most", seconds=60)
    home.until_phase("Succeeded", "many", "own", "plain")

    def words(name: str) -> str:
        return str(container_status(home.status(name), "app")["state"]["terminated"].get("message", "")).strip()

    assert (words("many"), words("own")) == ("2000", "5000")
    assert words("long").endswith("argument list too long")
    assert words("most").endswith("argument list too long")
    assert home.node.is_alive()
