"""Where the programs of a test control plane come from."""

import os
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[1] / "controlplane" / "build.py"
NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class BinariesError(RuntimeError):
    """There is no control plane to start; the message says how to get one."""


def find_binaries(version: str | None = None) -> Path:
    """The folder of the binaries: the one that KUBEBUILDER_ASSETS names, or else the one that build.py built.

    `version` is a key of versions.json, by default its "default"; KUBEBUILDER_ASSETS has what it has.

    Raises BinariesError.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        if missing := [name for name in NEEDED if not Path(assets, name).exists()]:
            lack = f"KUBEBUILDER_ASSETS={assets} lacks {', '.join(missing)}"
            raise BinariesError(f"{lack}: unset it to use the control plane that {BUILD} builds")
        return Path(assets)
    command = [sys.executable, str(BUILD), "--cached", *([version] if version else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BinariesError(done.stderr.strip())
    return Path(done.stdout.strip())
