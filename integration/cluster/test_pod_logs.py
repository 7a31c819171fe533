"""The logs of a pod as files: for its own sidecar, and for collectors on the node's machine."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .clients import Cluster
from .identities import Access
from .nodes import NodeProcess, on, shell
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

STDLOG = {"name": "stdlog", "csi": {"driver": "stdlogplugin.csi.alibabacloud.com"}}
AT = [{"name": "stdlog", "mountPath": "/var/log/std", "readOnly": True}]
TALKS = "echo Server is listening on :8080 >&2; sleep 0.5; while :; do n=$((n+1)); echo $n; usleep 2000; done"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the logs of all pods are to be."""
    return tmp_path_factory.mktemp("pods")


@pytest.fixture(scope="module")
def node(
    cluster: Cluster, access: Access, image: None, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[NodeProcess]:
    """A node that rotates logs as soon as they have a few hundred lines, and keeps many of them."""
    name = f"logs-{uuid4().hex[:8]}"
    flags = ("--pod-logs-dir", str(folder), "--container-log-max-size=20Ki", "--container-log-max-files=40")
    with NodeProcess(cluster, name, tmp_path_factory.mktemp(name), access, *flags) as joined:
        yield joined


def texts(directory: Path) -> list[str]:
    """All lines of a container's files, without what the CRI has before them."""
    while True:
        rotated = sorted(directory.glob("0.log.*"))
        lines = [line for file in (*rotated, directory / "0.log") for line in file.read_text().splitlines()]
        if sorted(directory.glob("0.log.*")) == rotated:  # else one may be missing, or there twice
            return [line.split(" ", 3)[3] for line in lines]


def test_each_line_once_for_all_who_read(cluster: Cluster, node: NodeProcess, folder: Path) -> None:
    name = f"echo-{uuid4().hex[:8]}"
    filebeat = shell("filebeat", "cat /var/log/std/filebeat/0.log && exec sleep 36000", volumeMounts=AT)
    spec = on(node.name, filebeat, shell("echo-server", TALKS), volumes=[STDLOG], automountServiceAccountToken=False)
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    uid = cluster.get("pod", name)["metadata"]["uid"]
    logs = folder / f"default_{name}_{uid}" / "echo-server"
    seen = cluster.kubectl("exec", name, "-c", "filebeat", "--", "cat", "/var/log/std/echo-server/0.log")
    assert seen.splitlines()[0].split(" ", 1)[1] == "stderr F Server is listening on :8080"

    follow = ["logs", "-f", name, "-c", "echo-server"]
    with subprocess.Popen(
        [cluster.program, f"--kubeconfig={cluster.kubeconfig}", *follow], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        timer = threading.Timer(60, process.kill)
        timer.start()
        heard = [line.strip() for line, _ in zip(process.stdout, range(2000), strict=False)]
        timer.cancel()
        process.kill()
    assert heard == ["Server is listening on :8080", *map(str, range(1, 2000))]

    eventually(lambda: len(texts(logs)) > 2000, 60)
    node.kill()
    node.start()
    past = len(texts(logs))
    eventually(lambda: len(texts(logs)) > past + 500, 60)
    lines = texts(logs)
    assert lines == ["Server is listening on :8080", *map(str, range(1, len(lines)))]
    assert len(list(logs.glob("0.log.*"))) > 2

    cluster.kubectl("delete", "pod", name)
    eventually(lambda: not list(folder.iterdir()), 60)


def test_other_drivers_are_refused_by_name(cluster: Cluster, node: NodeProcess) -> None:
    name = f"other-{uuid4().hex[:8]}"
    volume = {"name": "data", "csi": {"driver": "disk.csi.example.com"}}
    spec = on(node.name, shell("app", "true"), volumes=[volume], automountServiceAccountToken=False)
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    eventually(lambda: cluster.get("pod", name)["status"]["phase"] == "Failed", 60)
    status = cluster.get("pod", name)["status"]
    assert status["reason"] == "UnsupportedField"
    assert "spec.volumes[0].csi.driver" in status["message"]
    cluster.kubectl("delete", "pod", name)
