"""``vkprovider node`` as a process of its own, in a test's cluster: started, killed, started again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vkprovider.node import mounting

from .clients import Cluster
from .identities import Access
from .processes import Process
from .waiting import eventually

ROOT = Path(__file__).parents[2]
IMAGE = "busybox:vkprovider-cluster"
TOLERATIONS = [{"key": "virtual-kubelet.io/provider", "operator": "Exists"}]


class NodeProcess(Process):
    """A node that bears ``name`` and has its state in ``folder``, while its process runs.

    ``access`` is the kubeconfig it goes by, or gives it by the node's name; None where ``flags`` say more. A context
    manager that stops it and removes its Node, and what its pods have left in Docker.
    """

    def __init__(self, cluster: Cluster, name: str, folder: Path, access: Access | Path | None, *flags: str) -> None:
        self.name = name
        self.folder = folder
        self._cluster = cluster
        kubeconfig = access(name) if callable(access) else access
        known = ["--kubeconfig", kubeconfig] if kubeconfig is not None else []
        super().__init__(["node", "--nodename", name, *known, "--state-dir", folder, *flags], folder / "log")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._cluster.kubectl("delete", "node", self.name, "--ignore-not-found")
            self._clear()

    def start(self, seconds: float = 30) -> None:
        """Start the process and wait until the cluster shows the node Ready."""
        self.launch()
        eventually(self.is_ready, seconds)

    def _clear(self) -> None:
        """Remove what its pods have left in Docker, and what is mounted in its directory."""
        mine = ["docker", "ps", "--all", "--quiet", f"--filter=label=vkprovider.node={self.name}"]
        if left := subprocess.run(mine, check=True, capture_output=True, text=True).stdout.split():
            subprocess.run(["docker", "rm", "--force", "--volumes", *left], check=False, capture_output=True)
        mounting.detach_all(os.path.realpath(self.folder))

    def is_ready(self) -> bool:
        assert self.is_alive(), f"the node ended by itself:\n{self.log}"
        found = json.loads(self._cluster.kubectl("get", "nodes", "--output=json"))["items"]
        mine = [node["status"].get("conditions", []) for node in found if node["metadata"]["name"] == self.name]
        return any(c["type"] == "Ready" and c["status"] == "True" for conditions in mine for c in conditions)


def on(node: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod specification for ``node``, of ``containers`` that each lack an image, with a short grace."""
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 2,
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": TOLERATIONS,
        "containers": [{"image": IMAGE} | container for container in containers],
    } | spec


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """A container that runs a script."""
    return {"name": name, "command": ["sh", "-c", script]} | fields


def make_image() -> None:
    """Put ``IMAGE`` into the engine."""
    subprocess.run([ROOT / "integration" / "setup" / "busybox-image.sh", IMAGE], check=True)
