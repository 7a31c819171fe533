"""The engine is stopped and started again, and all containers with it: pods go on by their policies, and none twice.

For that there is a second engine on the machine, which no other test may need meanwhile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.plugins.real_parts import missing

from .clients import Cluster
from .home import Home, docker
from .identities import Access
from .nodes import IMAGE, ROOT, NodeProcess, make_image, shell
from .showing import container_status, in_docker
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

ENGINE = ROOT / "integration" / "engines" / "start-engine.sh"
POLITE = "trap 'exit 4' TERM; sleep 1000 & wait"


def engine(*arguments: str) -> str:
    done = subprocess.run([ENGINE, *arguments], stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return done.stdout.strip()


@pytest.fixture
def second_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For this test and its node: an engine that may be stopped."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        missing("a second engine needs root and debootstrap")
    if Path("/run/vkprovider-engine-26.1").exists():
        missing("the second engine is in use")
    monkeypatch.setenv("DOCKER_HOST", engine())
    try:
        make_image()
        yield
    finally:
        engine("stop")


@pytest.fixture
def home(second_engine: None, cluster: Cluster, namespace: str, access: Access, tmp_path: Path) -> Iterator[Home]:
    with NodeProcess(cluster, f"node-{uuid4().hex[:8]}", tmp_path, access) as node:
        yield Home(cluster, namespace, node)
        cluster.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--grace-period=1")
        eventually(lambda: not in_docker(node), 30)


def test_pods_go_on_by_their_policies(home: Home) -> None:
    side = shell("side", POLITE) | {"restartPolicy": "Always", "image": IMAGE}
    home.create("always", shell("app", POLITE), initContainers=[side], restartPolicy="Always")
    home.create("never", shell("app", POLITE), initContainers=[side])
    home.until_phase("Running", "always", "never")
    engine("stop")
    assert home.node.is_alive()
    engine()
    home.until_phase("Failed", "never", seconds=60)
    ended = container_status(home.status("never"), "app")
    assert (ended["state"]["terminated"]["exitCode"], ended["restartCount"]) == (4, 0)
    eventually(lambda: all(restarted(home, name) for name in ("app", "side")), 60)
    home.until_works()
    running = docker("ps", "--format={{.Names}}", f"--filter=label=vkprovider.node={home.node.name}").split()
    uid = home.uid("always")
    mine = f"always_{home.namespace}_{uid}_1"
    assert sorted(running) == [f"k8s_POD_{mine}", f"k8s_app_{mine}", f"k8s_side_{mine}"]


def restarted(home: Home, container: str) -> bool:
    status = container_status(home.status("always"), container)
    return bool(status["restartCount"] == 1 and "running" in status["state"])
