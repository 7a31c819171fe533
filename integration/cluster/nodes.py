"""``vkprovider node`` as a process of its own, in a test's cluster: started, killed, started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vkprovider.node import mounting

from .clients import Cluster
from .identities import Access
from .waiting import eventually

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "vkprovider"
IMAGE = "busybox:vkprovider-cluster"
TOLERATIONS = [{"key": "virtual-kubelet.io/provider", "operator": "Exists"}]
STOP_SECONDS = 30


class NodeProcess:
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
        self._command = [PROGRAM, "node", "--nodename", name, *known, "--state-dir", folder, *flags]
        self._process: subprocess.Popen[bytes] | None = None

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

    @property
    def log(self) -> str:
        """All that it has said, over all its starts."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs, and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self, seconds: float = 30) -> None:
        """Start the process and wait until the cluster shows the node Ready."""
        self.launch()
        eventually(self.is_ready, seconds)

    def launch(self) -> None:
        """Start the process alone."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def _clear(self) -> None:
        """Remove what its pods have left in Docker, and what is mounted in its directory."""
        mine = ["docker", "ps", "--all", "--quiet", f"--filter=label=vkprovider.node={self.name}"]
        if left := subprocess.run(mine, check=True, capture_output=True, text=True).stdout.split():
            subprocess.run(["docker", "rm", "--force", "--volumes", *left], check=False, capture_output=True)
        mounting.detach_all(os.path.realpath(self.folder))

    def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the node ended by itself:\n{self.log}"
        found = json.loads(self._cluster.kubectl("get", "nodes", "--output=json"))["items"]
        mine = [node["status"].get("conditions", []) for node in found if node["metadata"]["name"] == self.name]
        return any(c["type"] == "Ready" and c["status"] == "True" for conditions in mine for c in conditions)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the process with SIGTERM; it must end well. Does nothing where none runs."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        assert code == 0, self.log
        assert "Traceback" not in self.log, self.log


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
