"""The image in a real engine: it loads, holds a pod, and works on a directory of the host."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import ContainerError
from docker.models.containers import Container
from docker.types import Mount

from vkprovider.engine import sandbox_image

pytestmark = pytest.mark.docker

BUSYBOX = "registry-cn-hangzhou.ack.aliyuncs.com/ack-demo/busybox:1.28"
SETUP = Path(__file__).parents[2] / "integration" / "setup"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env(timeout=60)) as client:
        yield client


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    arch = client.info()["Architecture"]
    (loaded,) = client.images.load(sandbox_image.tar(arch))
    assert sandbox_image.name(arch) in loaded.tags
    return sandbox_image.name(arch)


@pytest.fixture(scope="module")
def busybox() -> str:
    subprocess.run([SETUP / "busybox-image.sh", BUSYBOX], check=True, timeout=60)
    return BUSYBOX


Start = Callable[..., Container]


@pytest.fixture
def start(client: docker.DockerClient) -> Iterator[Start]:
    """Start a container in the background; it is removed after the test."""
    with contextlib.ExitStack() as stack:

        def start(image: str, command: list[str] | None = None, **options: object) -> Container:
            container = client.containers.create(
                image, command, name=f"vkprovider-test-{uuid.uuid4()}", network_mode="none", **options
            )
            stack.callback(container.remove, force=True)
            container.start()
            return container

        yield start


def until(condition: Callable[[], object], what: str) -> None:
    """Ask again until the condition holds, for 10 s at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"never {what}"


def test_the_image_is_tiny_and_says_what_it_is(client: docker.DockerClient, image: str) -> None:
    attributes = client.images.get(image).attrs
    assert attributes["Size"] < 20_000
    assert attributes["Config"]["Entrypoint"] == ["/sandbox"]
    assert attributes["Config"]["Labels"]["org.opencontainers.image.title"] == "vkprovider sandbox"


@pytest.mark.parametrize("user", ["0", "4711"])
@pytest.mark.parametrize("number", ["TERM", "INT"])
def test_a_signal_ends_it_with_0_within_a_second(start: Start, image: str, number: str, user: str) -> None:
    sandbox = start(image, user=user, read_only=True, cap_drop=["ALL"])
    pid = client_pid(sandbox)
    until(lambda: is_sleeping(pid), "asleep")
    before = time.monotonic()
    sandbox.kill(number)
    assert sandbox.wait(timeout=10)["StatusCode"] == 0
    assert time.monotonic() - before < 1


def client_pid(container: Container) -> int:
    container.reload()
    pid: int = container.attrs["State"]["Pid"]
    return pid


def is_sleeping(pid: int) -> bool:
    """Whether the process waits, which the program does only once it is ready for signals."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_it_reaps_the_orphans_of_a_shared_process_namespace(start: Start, image: str, busybox: str) -> None:
    sandbox = start(image)
    member = start(busybox, ["sleep", "600"], pid_mode=f"container:{sandbox.id}")
    # The inner shell ends first, so what it started ends as a child of PID 1, the sandbox.
    code, output = member.exec_run(["sh", "-c", "sh -c 'sleep 600 & echo $!'"])
    orphan = int(output)
    assert code == 0
    status = member.exec_run(["cat", f"/proc/{orphan}/status"]).output.decode()
    assert "PPid:\t1\n" in status
    member.exec_run(["kill", "-KILL", str(orphan)])
    until(lambda: member.exec_run(["test", "-e", f"/proc/{orphan}"]).exit_code == 1, "reaped")


def run_tool(client: docker.DockerClient, image: str, directory: Path, *args: object, **options: object) -> str:
    """Run the program once on a directory of the host, and give what it says. Raises ContainerError if it fails."""
    mount = Mount(str(directory), str(directory), type="bind", read_only=bool(options.pop("read_only", False)))
    output: bytes = client.containers.run(
        image, [str(arg) for arg in args], mounts=[mount], network_mode="none", remove=True, stderr=True, **options
    )
    return output.decode()


def test_remove_deletes_what_other_users_own_and_nothing_outside(
    client: docker.DockerClient, image: str, busybox: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    volume = tmp_path / "volume"
    volume.mkdir()
    script = f"""
        cd {volume} && mkdir -p a/b && touch a/b/file && chown -R 4711:4711 a && chmod 0 a/b a &&
        ln -s {outside} to-directory && ln -s {outside}/file to-file && ln -s .. to-parent && mkfifo fifo
    """
    client.containers.run(
        busybox, ["sh", "-c", script], mounts=[Mount(str(tmp_path), str(tmp_path), type="bind")], remove=True
    )
    assert run_tool(client, image, tmp_path, "remove", volume) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "file").read_text() == "kept"


def test_remove_leaves_a_mount_below_alone(client: docker.DockerClient, image: str, tmp_path: Path) -> None:
    (tmp_path / "volume" / "mounted").mkdir(parents=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "file").touch()
    mount = Mount(str(tmp_path / "volume" / "mounted"), str(tmp_path / "foreign"), type="bind")
    with pytest.raises(ContainerError) as failure:
        client.containers.run(
            image,
            ["remove", str(tmp_path / "volume")],
            mounts=[Mount(str(tmp_path), str(tmp_path), type="bind"), mount],
            remove=True,
        )
    assert failure.value.exit_status == 1
    assert failure.value.stderr == f"remove: {tmp_path}/volume/mounted: Is a mount point, left alone\n".encode()
    assert (tmp_path / "foreign" / "file").exists()


def test_what_cannot_be_done_is_named(client: docker.DockerClient, image: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ContainerError) as failure:
        run_tool(client, image, tmp_path, "remove", tmp_path / "file", read_only=True)
    assert failure.value.exit_status == 1
    assert failure.value.stderr == f"remove: {tmp_path}/file: Read-only file system\n".encode()


def test_own_gives_a_volume_to_a_group_and_follows_no_link(
    client: docker.DockerClient, image: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.touch(mode=0o600)
    volume = tmp_path / "volume"
    volume.mkdir(mode=0o700)
    (volume / "file").touch(mode=0o600)
    (volume / "trap").symlink_to(outside)
    assert run_tool(client, image, tmp_path, "own", 4711, volume) == ""
    assert {path.lstat().st_gid for path in (volume, volume / "file", volume / "trap")} == {4711}
    assert (volume.stat().st_mode & 0o7777, (volume / "file").stat().st_mode & 0o7777) == (0o2770, 0o660)
    assert (outside.stat().st_gid, outside.stat().st_mode & 0o7777) == (os.getgid(), 0o600)
