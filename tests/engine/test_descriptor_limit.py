"""A node does not live with the limit on open files that a shell gives at first."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
from pathlib import Path

PATIENCE = 20.0  # seconds


def test_a_node_takes_as_many_open_files_as_it_may_have(tmp_path: Path) -> None:
    """It is at work when it speaks to the API server, which here says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        config = {
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.getsockname()[1]}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
            "current-context": "c",
        }
        (tmp_path / "config").write_text(json.dumps(config))
        few = ("sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh")
        command = (
            sys.executable,
            "-c",
            "from vkprovider.cli import main; main()",
            "node",
            "--kubeconfig",
            tmp_path / "config",
        )
        with subprocess.Popen([*few, *command, "--state-dir", tmp_path / "state"]) as node:
            try:
                server.accept()[0].close()
                soft, hard = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
            finally:
                node.kill()
    assert soft == hard > 64
