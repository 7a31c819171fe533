"""How fast ``vkprovider run`` is, as ratios to the same raw Docker calls made in the same minutes.

    python -m integration.benchmarks.run_speed [ROUNDS]

Claims: a one-container pod that exits at once takes at most 1.3 times its raw Docker calls, plus 0.5 s for starting
Python; ``vkprovider --help`` answers within 0.3 s. Rounds alternate, so that a machine whose speed drifts does not
favour one side. Medians are printed with their range.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import docker

from integration.benchmarks.measure import remove_raw, sandbox_image, shown, start_raw, timed

IMAGE = "busybox:vkprovider-bench"
ALLOWED_RATIO, ALLOWED_START = 1.3, 0.5
PROGRAM = str(Path(sys.executable).parent / "vkprovider")
SETUP = Path(__file__).parents[1] / "setup" / "busybox-image.sh"


def raw_calls(client: docker.APIClient, sandbox: str) -> None:
    """What a pod of one container costs at least: sandbox, container, wait, removal."""
    started = start_raw(client, sandbox, IMAGE, ["true"])
    client.wait(started[1])
    remove_raw(client, started)


def run_pod(manifest: str, state_dir: str) -> None:
    subprocess.run([PROGRAM, "run", "--state-dir", state_dir, manifest], check=True, stdout=subprocess.DEVNULL)


def start_python() -> None:
    """The interpreter with everything ``vkprovider run`` imports, and nothing done with it."""
    subprocess.run([sys.executable, "-c", "import vkprovider.app"], check=True)


def ask_for_help() -> None:
    subprocess.run([PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)


def main(rounds: int) -> None:
    subprocess.run([str(SETUP), IMAGE], check=True)
    client = docker.APIClient(version="auto", timeout=60)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bench"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "app", "image": IMAGE, "command": ["true"], "imagePullPolicy": "Never"}],
        },
    }
    with tempfile.TemporaryDirectory() as directory:
        manifest = Path(directory, "pod.json")
        manifest.write_text(json.dumps(pod), encoding="utf-8")
        run_pod(str(manifest), directory)  # loads the sandbox image
        sandbox = sandbox_image(client)
        raw, ours, imports, helps = [], [], [], []
        for _ in range(rounds):
            raw.append(timed(lambda: raw_calls(client, sandbox)))
            ours.append(timed(lambda: run_pod(str(manifest), directory)))
            imports.append(timed(start_python))
            helps.append(timed(ask_for_help))
    print(shown("raw Docker calls", raw))
    print(shown("vkprovider run", ours))
    print(shown("  of it, Python and imports", imports))
    print(shown("vkprovider --help", helps))
    pairs = zip(ours, raw, strict=True)
    ratio = statistics.median((whole - ALLOWED_START) / calls for whole, calls in pairs)
    print(f"\n(vkprovider run - {ALLOWED_START} s) / raw calls = {ratio:.2f}   (claimed: at most {ALLOWED_RATIO})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
