"""Volumes that show an image: mounted by the engine, or else from copies, which go with their pods."""

from __future__ import annotations

import io
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from integration.docker.command import Command
from integration.docker.own_node import own_node
from integration.docker.pods import pod, shell
from integration.docker.records import Records
from vkprovider.core.image_volumes import mounts_images

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def data(client: docker.APIClient) -> Iterator[str]:
    """An image of two layers without any program, of which the upper one hides a file of the lower."""
    names = [f"vkprovider-test/data:{uuid.uuid4().hex[:12]}" for _ in range(2)]
    client.import_image_from_data(below(), *names[0].split(":"))
    dockerfile = f"FROM {names[0]}\nCOPY greeting /etc/greeting\nLABEL seen=1\n"
    context = {"Dockerfile": dockerfile, "greeting": "hello\n"}
    said = list(client.build(fileobj=io.BytesIO(archive(context)), custom_context=True, tag=names[1], rm=True))
    assert client.images(names[1]), said
    yield names[1]
    for name in reversed(names):
        client.remove_image(name, force=True)


@pytest.fixture(scope="module")
def mounting(client: docker.APIClient) -> bool:
    """Whether the engine mounts images."""
    return mounts_images(client.version()["ApiVersion"])


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def below() -> bytes:
    """With links that lead out of wherever they are put."""
    buffer = io.BytesIO(
        archive({"etc/greeting": "old\n", "model/weights": "1 2 3\n", "run.sh": "#!/bin/sh\necho ran\n"})
    )
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for name, target in (("out", "/etc"), ("up", "../../../../../../../etc")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return buffer.getvalue()


def image_volume(image: str, **more: str) -> dict[str, object]:
    return {"name": "data", "image": {"reference": image} | more}


def test_a_container_reads_what_an_image_shows(command: Command, data: str, mounting: bool) -> None:
    """The engine's own mounts let programs be executed, and copies do not."""
    script = (
        "cat /data/etc/greeting /part/weights /one; readlink /data/out; "
        "touch /data/new 2>&1; rm /data/run.sh 2>&1; /data/run.sh 2>&1; sh /data/run.sh"
    )
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/part", "subPath": "model"},
        {"name": "data", "mountPath": "/one", "subPathExpr": "$(WHERE)/greeting"},
    ]
    reader = shell("reader", script, volumeMounts=mounts, env=[{"name": "WHERE", "value": "etc"}])
    run = command.run("--logs", command.file(pod("reader", reader, volumes=[image_volume(data)])))
    assert run.finish() == 0
    said = [line.partition("] ")[2] or line for line in str(run.out).splitlines()]
    text = "\n".join(said)
    for words in ("hello", "1 2 3", "/etc", "touch: /data/new: Read-only file system", "ran"):
        assert words in text, str(run.out)
    assert ("Permission denied" in text, text.count("ran")) == ((False, 2) if mounting else (True, 1)), str(run.out)
    assert f'Container image "{data}" already present on machine' in str(run.out) + str(run.err)


def test_parts_that_an_image_has_not_or_only_by_a_link_out_of_it(command: Command, data: str, mounting: bool) -> None:
    parts = {"absolute": "out/passwd", "upwards": "up/passwd", "nothing": "nothing"}
    readers = (
        shell(name, "cat /part", volumeMounts=[{"name": "data", "mountPath": "/part", "subPath": part}])
        for name, part in parts.items()
    )
    run = command.run_json(pod("parts", *readers, volumes=[image_volume(data)]))
    for name, part in parts.items():
        words = f"ImageVolumeMountFailed: the image of volume \"data\" has no '{part}'"
        if mounting:
            run.err.until_line(f"container/{name}", "  Terminated ", "exit 128 (StartError)")
        else:
            run.err.until_line(f"container/{name}", "  CreateContainerError ", words)
    if not mounting:
        run.interrupt()
    assert run.finish() == (128 if mounting else 130)


def test_an_image_that_cannot_be_had_keeps_those_waiting_that_mount_it(command: Command) -> None:
    image = "127.0.0.1:1/nothing/there:1"
    mount = {"name": "data", "mountPath": "/data"}
    waiting, other = shell("waiting", "exit 0", volumeMounts=[mount]), shell("other", "exit 0")
    run = command.run_json(pod("missing", waiting, other, volumes=[image_volume(image)]))
    run.err.until_line("pod/missing", f'Pulling image "{image}"')
    run.err.until_line("container/waiting", "  ErrImagePull ", "connection refused")
    run.err.until_line("container/waiting", "  ImagePullBackOff ", f'Back-off pulling image "{image}"')
    run.err.until_line("container/other", "Terminated", "exit 0")
    run.interrupt()
    run.finish()


def test_an_image_that_is_not_to_be_pulled(command: Command) -> None:
    image = "127.0.0.1:1/nothing/there:1"
    mount = {"name": "data", "mountPath": "/data"}
    spec = pod("never", shell("app", "exit 0", volumeMounts=[mount]), volumes=[image_volume(image, pullPolicy="Never")])
    run = command.run_json(spec)
    words = f'Container image "{image}" is not present with pull policy of Never'
    run.err.until_line("container/app", "  ErrImageNeverPull ", words)
    run.interrupt()
    assert run.finish() == 130


async def test_a_copy_lasts_as_long_as_a_pod_has_it(
    records: Records, data: str, tmp_path: Path, mounting: bool
) -> None:
    """Where the engine mounts the image itself there is none."""
    mount = {"name": "data", "mountPath": "/data"}
    script = "trap 'exit 0' TERM; cat /data/etc/greeting && sleep 100000 & wait"
    apps = (shell(name, script, volumeMounts=[mount]) for name in ("one", "two"))
    async with own_node(records, tmp_path) as node:
        node.run(pod("keeper", *apps, volumes=[image_volume(data)]))
        await node.witness.until_ready("one", "two")
        images = tmp_path / "images"
        assert mounting or len(os.listdir(images)) == 1
        node.delete(5)
        await node.until_gone()
        assert not images.exists() if mounting else os.listdir(images) == []
