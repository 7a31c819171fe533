"""An image to test with, made on the spot: a static busybox and a link for each of its programs."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import docker


def load_image(client: docker.APIClient, name: str, **config: Any) -> None:
    """Put the image into the engine under a name, with fields of its configuration as Docker calls them."""
    layer = root_file_system()
    image = {
        "architecture": client.version()["Arch"],
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add_file(archive, "manifest.json", json.dumps(manifest).encode(), 0o644)
        _add_file(archive, "config.json", json.dumps(image).encode(), 0o644)
        _add_file(archive, "layer.tar", layer, 0o644)
    client.load_image(buffer.getvalue())


def root_file_system() -> bytes:
    """A tar of a root file system."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox is missing: apt-get install busybox-static"
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for directory in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
            archive.addfile(entry)
        _add_file(archive, "bin/busybox", Path(busybox).read_bytes(), 0o755)
        _add_file(archive, "etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644)
        for program in listed:
            if program != "busybox":
                link = tarfile.TarInfo(f"bin/{program}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
    return buffer.getvalue()


def _add_file(archive: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
