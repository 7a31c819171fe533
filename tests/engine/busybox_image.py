"""An image to test with, made on the spot: a static busybox and a link for each of its programs."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import docker


def load_image(client: docker.APIClient, name: str, *changes: str) -> str:
    """Put the image into the engine under a name, changed as by lines of a Dockerfile. Gives its ID."""
    repository, _, tag = name.rpartition(":")
    client.import_image_from_data(root_file_system(), repository=repository, tag=tag, changes=list(changes))
    return str(client.inspect_image(name)["Id"])


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
