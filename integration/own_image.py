"""The image of vkprovider itself, built from the Dockerfile.

Its base is pulled where a registry answers. Elsewhere it is made here: Debian or Ubuntu with Python, by debootstrap,
kept in the cache. Either way the build sees the package index as this machine's pip does: the base is given pip's
settings and the certificate authorities, and the build shares the network of the host.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.real_parts import missing

ROOT = Path(__file__).parents[1]
REAL_BASE = "python:3.13-slim"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def docker(*args: str | Path, timeout: float = 600) -> str:
    """Run the Docker client and give its output; the test fails with its words if it fails."""
    classic = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode != 0
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"} if classic else dict(os.environ)
    result = subprocess.run(
        ["docker", *args], capture_output=True, text=True, timeout=timeout, check=False, env=environment
    )
    assert result.returncode == 0, f"docker {args[0]} failed:\n{result.stdout}\n{result.stderr}"
    return result.stdout


def release(key: str) -> str:
    return platform.freedesktop_os_release().get(key, "")


def mirror() -> str:
    """Where apt has this machine's distribution from."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"], capture_output=True, text=True, check=True
    ).stdout
    found = [line.split()[1] for line in targets.splitlines() if line.startswith(f"{release('VERSION_CODENAME')} ")]
    return found[0] if found else ""


def local_root() -> Path:
    """A tar with the root file system of this machine's distribution and its Python, made once."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vkprovider"
    cache = Path(os.environ.get("VKPROVIDER_CACHE") or default)
    archive = cache / f"python-base-{release('ID')}-{release('VERSION_ID')}.tar"
    if archive.exists():
        return archive
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        missing(f"{REAL_BASE} cannot be pulled, and making a base needs root and debootstrap")
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"{archive.name}.{uuid.uuid4().hex}"
    components = "main,universe" if release("ID") == "ubuntu" else "main"
    try:
        options = ["--variant=minbase", f"--components={components}", f"--include={PACKAGES}"]
        subprocess.run(
            ["debootstrap", *options, release("VERSION_CODENAME"), root, *filter(None, [mirror()])],
            check=True,
            timeout=600,
            stdout=subprocess.DEVNULL,
        )
        partial = Path(f"{root}.partial")
        subprocess.run(["tar", "-C", root, "--exclude=./var/cache/apt/*", "-cf", partial, "."], check=True, timeout=300)
        partial.rename(archive)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return archive


def pip_settings() -> dict[str, str]:
    """What this machine's pip is configured with, from files and the environment alike."""
    lines = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    pairs = (line.split("=", 1) for line in lines)
    return {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, value in pairs}


class Builder:
    """Builds images, and afterwards removes them with everything the builder left on the way."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def build(self, name: str, context: Path, *options: str) -> str:
        proxies = [f"--build-arg={variable}" for variable in PROXIES if variable in os.environ]
        said = docker("build", "--force-rm", f"--tag={name}", *proxies, *options, context)
        self.made += [*re.findall(r"^ ---> ([0-9a-f]{12})$", said, re.MULTILINE), name]
        return name

    def remove(self) -> None:
        for image in reversed(self.made):
            subprocess.run(["docker", "rmi", "--force", image], capture_output=True, check=False, timeout=60)


@pytest.fixture(scope="session")
def image_builder() -> Iterator[Builder]:
    builder = Builder()
    yield builder
    builder.remove()


@pytest.fixture(scope="session")
def own_base(image_builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image to build on, which knows this machine's package index."""
    plain, pull = REAL_BASE, ["timeout", "60", "docker", "pull", "--quiet", REAL_BASE]
    if subprocess.run(pull, capture_output=True, check=False).returncode != 0:
        plain = f"vkprovider-test/python:{uuid.uuid4().hex[:12]}"
        docker("import", local_root(), plain)
        image_builder.made.append(plain)
    context = tmp_path_factory.mktemp("base")
    settings = pip_settings()
    (context / "pip.conf").write_text("[global]\n" + "".join(f"{key} = {settings[key]}\n" for key in settings))
    lines = [f"FROM {plain}", "COPY pip.conf /etc/pip.conf"]
    authorities = Path(settings.get("cert", AUTHORITIES))
    if authorities.exists():
        shutil.copy(authorities, context / "authorities")
        lines.append(f"COPY authorities {authorities}")
    (context / "Dockerfile").write_text("\n".join(lines))
    return image_builder.build(f"vkprovider-test/base:{uuid.uuid4().hex[:12]}", context)


@pytest.fixture(scope="session")
def own_image(image_builder: Builder, own_base: str) -> str:
    """The name of vkprovider's image."""
    name = f"vkprovider-test/image:{uuid.uuid4().hex[:12]}"
    return image_builder.build(name, ROOT, "--network=host", f"--build-arg=BASE={own_base}")
