"""The built-in sandbox image, made from the program in ``sandbox/``: loaded into an engine, never pulled.

The same program gives the same image, byte for byte, and so the same name: an engine that has the name has the image.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from importlib import resources
from typing import Any

from vkprovider.errors import EngineError

PROGRAM = "/sandbox"
REPOSITORY = "vkprovider/sandbox"
ARCHITECTURES = ("amd64", "arm64")
_KERNEL_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}  # what the engine's /info says, in the kernel's words


def name(arch: str) -> str:
    """The image's name for an architecture (``amd64`` or ``x86_64``); its tag tells the content.

    Raises EngineError if there is no program for that architecture.
    """
    return _name(_image(arch)[1])


def tar(arch: str) -> bytes:
    """The image as ``docker load`` takes it, under the name that ``name`` gives.

    Raises EngineError if there is no program for that architecture.
    """
    layer, config = _image(arch)
    config_file = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_file, "RepoTags": [_name(config)], "Layers": ["layer.tar"]}]
    return _archive(
        {"manifest.json": (_json(manifest), 0o644), config_file: (config, 0o644), "layer.tar": (layer, 0o644)}
    )


def _name(config: bytes) -> str:
    return f"{REPOSITORY}:{hashlib.sha256(config).hexdigest()[:12]}"


def _image(arch: str) -> tuple[bytes, bytes]:
    """The only layer and the configuration, which names the layer by its digest."""
    arch = _KERNEL_NAMES.get(arch, arch)
    if arch not in ARCHITECTURES:
        raise EngineError(
            f"no built-in sandbox image for architecture {arch!r} (there is one for {' and '.join(ARCHITECTURES)}):"
            " give your own with --sandbox-image"
        )
    program = resources.files("vkprovider.engine").joinpath("sandbox", f"sandbox-{arch}").read_bytes()
    layer = _archive({PROGRAM.lstrip("/"): (program, 0o755)})
    return layer, _config(layer, arch)


def _config(layer: bytes, arch: str) -> bytes:
    return _json(
        {
            "architecture": arch,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": [PROGRAM],
                "Labels": {
                    "org.opencontainers.image.title": "vkprovider sandbox",
                    "org.opencontainers.image.description": "Holds the namespaces of a pod and reaps its orphans",
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "vkprovider"}],
        }
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _archive(files: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar of files with their permissions, all root's, from the year 1970."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
