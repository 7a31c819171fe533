"""Image registries of a test's own: Debian's docker-registry on the loopback interface, open or with a password."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from integration.docker.command import eventually
from tests.engine.busybox_image import load_image
from tests.plugins.real_parts import missing

USER, PASSWORD = "me", "secret"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"  # bcrypt is all it takes


class Registry:
    """A registry with one repository; each test has a tag of its own."""

    def __init__(self, client: docker.APIClient, port: int, *, private: bool = False) -> None:
        self.host = f"127.0.0.1:{port}"
        self.made: set[str] = set()
        self._client = client
        self._auth = {"username": USER, "password": PASSWORD} if private else None

    def name(self) -> str:
        name = f"{self.host}/test:{uuid.uuid4().hex[:12]}"
        self.made.add(name)
        return name

    def publish(self, name: str, version: int) -> None:
        """An image that knows its version, which the engine then has as well."""
        self.have(name, version)
        self._push(name)

    def publish_bytes(self, name: str, size: int) -> None:
        """An image of so many bytes that were never seen before."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("bytes")
            entry.size = size
            archive.addfile(entry, io.BytesIO(os.urandom(size)))
        repository, _, tag = name.rpartition(":")
        self._client.import_image_from_data(buffer.getvalue(), repository, tag)
        self._push(name)

    def _push(self, name: str) -> None:
        said = self._client.push(name, auth_config=self._auth)
        assert '"error"' not in said, said

    def have(self, name: str, version: int) -> None:
        load_image(self._client, name, Env=[f"VERSION={version}"])

    def forget(self, name: str) -> None:
        """Have the engine lose its copy."""
        self._client.remove_image(name, force=True)

    def has(self, name: str) -> bool:
        """Whether the engine has a copy."""
        return bool(self._client.images(name))

    def tidy(self) -> None:
        """Have the engine lose all that tests have named."""
        for name in self.made:
            if self.has(name):
                self.forget(name)


@contextmanager
def serving(directory: Path, *, private: bool = False) -> Iterator[int]:
    """The port of a registry that keeps its images in a directory; a ``private`` one knows USER alone."""
    program = shutil.which("docker-registry")
    if program is None:
        missing("docker-registry is not installed: apt-get install docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    config = (
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {directory / 'images'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    if private:
        (directory / "htpasswd").write_text(_HTPASSWD)
        config += f"auth: {{htpasswd: {{realm: test, path: {directory / 'htpasswd'}}}}}\n"
    (directory / "config.yml").write_text(config)
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(directory / "config.yml")], stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(port), f"the registry answers: {(directory / 'log').read_text()}")
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
