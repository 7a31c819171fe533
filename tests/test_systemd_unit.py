"""The unit in deploy/systemd is one that systemd accepts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.plugins.real_parts import missing

SYSTEMD = Path(__file__).parents[1] / "deploy" / "systemd"
INSTALLED = "/opt/vkprovider/bin/vkprovider"


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("there is no systemd-analyze")
    text = (SYSTEMD / "vkprovider.service").read_text()
    assert f"ExecStart={INSTALLED} node " in text
    unit = tmp_path / "vkprovider.service"
    unit.write_text(text.replace(INSTALLED, sys.executable))  # it must be there
    verify = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    mine = [line for line in done.stderr.splitlines() if "vkprovider.service" in line]
    assert (done.returncode, mine) == (0, []), done.stderr


def test_the_pods_are_left_alone_when_the_service_stops() -> None:
    lines = (SYSTEMD / "vkprovider.service").read_text().splitlines()
    assert {"KillMode=process", "Restart=always", "StateDirectory=vkprovider"} <= set(lines)
