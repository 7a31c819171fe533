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
    """The folder of the programs of Kubernetes `version`, a key of versions.json, as build.py built them.

    Without a version it is the one that VKPROVIDER_TEST_KUBERNETES names, or else whatever is in the folder that
    KUBEBUILDER_ASSETS names, or else the default of versions.json.

    Raises BinariesError.
    """
    version = version or os.environ.get("VKPROVIDER_TEST_KUBERNETES")
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and not version:
        if missing := [name for name in NEEDED if not Path(assets, name).exists()]:
            lack = f"KUBEBUILDER_ASSETS={assets} lacks {', '.join(missing)}"
            raise BinariesError(f"{lack}: unset it to use the control plane that {BUILD} builds")
        return Path(assets)
    command = [sys.executable, str(BUILD), "--cached", *([version] if version else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BinariesError(done.stderr.strip())
    return Path(done.stdout.strip())
