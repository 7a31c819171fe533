"""The logs of a pod in a volume of its own: inline CSI with the driver of Alibaba Cloud's virtual nodes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command, Run, eventually
from integration.docker.pods import IMAGE, MARK, UNTIL_TERM, pod, shell
from vkprovider.model.volume import STDLOG

pytestmark = pytest.mark.docker

VOLUME = {"name": "stdlog", "csi": {"driver": STDLOG}}
AT = {"volumeMounts": [{"name": "stdlog", "mountPath": "/var/log/std", "readOnly": True}]}
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (?P<stream>stdout|stderr) (?P<tag>[FP]) (?P<text>.*)"
)


def with_logs(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return pod(name, *containers, volumes=[VOLUME], terminationGracePeriodSeconds=1, **spec)


def read(run: Run, container: str, path: str) -> str:
    """A file as a container of the run sees it now."""
    instance = run.until("start", container).container
    return subprocess.run(["docker", "exec", instance, "cat", path], capture_output=True, text=True, check=False).stdout


def words(text: str) -> list[tuple[str, str, str]]:
    """Stream, tag and text of each line."""
    lines = [LINE.fullmatch(line) for line in text.removesuffix("\n").split("\n")] if text else []
    assert all(lines), text
    return [(line["stream"], line["tag"], line["text"]) for line in lines if line]


def on_host(command: Command, container: str) -> list[Path]:
    """The files of a container on this machine, the rotated ones first."""
    (directory,) = command.state_dir.glob(f"runs/*/pods/*/logs/{container}")
    return [*sorted(directory.glob("*.log.*")), *sorted(directory.glob("*.log"))]


def test_a_sidecar_reads_what_all_containers_say(command: Command) -> None:
    """The first example of the documentation: it lives on, since its own log is there before it begins."""
    script = "cat /var/log/std/filebeat/0.log && sleep 36000"
    sidecar = {"name": "filebeat", "image": IMAGE, "args": ["/bin/sh", "-c", script], "env": MARK} | AT
    app = shell("echo-server", f"echo 'Server is listening on :8080' >&2; printf '%020000d\\n' 0; {UNTIL_TERM}")
    first = shell("first", "echo prepared")
    run = command.run(command.file(with_logs("echo", app, sidecar, initContainers=[first])))
    run.until_sleeping("filebeat", "echo-server")

    def heard() -> list[tuple[str, str, str]] | None:
        found = words(read(run, "filebeat", "/var/log/std/echo-server/0.log"))
        return found if len(found) == 3 else None

    said = eventually(heard, "the app's lines")
    assert ("stderr", "F", "Server is listening on :8080") in said
    pieces = [(tag, len(text)) for stream, tag, text in said if stream == "stdout"]
    assert pieces == [("P", 16384), ("F", 20000 - 16384)]
    assert words(read(run, "filebeat", "/var/log/std/first/0.log")) == [("stdout", "F", "prepared")]
    assert read(run, "filebeat", "/var/log/std/filebeat/0.log") == ""
    written = subprocess.run(
        ["docker", "exec", run.until("start", "filebeat").container, "touch", "/var/log/std/own"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Read-only file system" in written.stderr
    run.interrupt()
    run.finish()


def test_whoever_dies_each_line_is_there_once(command: Command) -> None:
    """The container is restarted, which is another file; vkprovider is killed, and started again."""
    talks = "while :; do n=$((n+1)); echo $n; sleep 0.01; done"
    fails = "test -e /kept/once || { touch /kept/once; echo in vain; exit 3; }; echo again; sleep 100000"
    kept = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    spec = with_logs("talking", shell("talks", talks), shell("fails", fails, **kept), restartPolicy="OnFailure")
    spec["spec"]["volumes"].append({"name": "kept", "emptyDir": {}})

    def numbers() -> list[int]:
        (file,) = on_host(command, "talks")
        return [int(text) for _, _, text in words(file.read_text())]

    file = command.file(spec)
    run = command.run(file)
    run.until("start", "fails", count=2)
    for _ in range(2):
        seen = eventually(lambda: len(numbers()) > 20 and numbers()[-1], "lines")
        run.kill()
        run = command.run(file)
        eventually(lambda past=seen: numbers()[-1] > past + 100, "more lines")
    assert numbers() == list(range(1, numbers()[-1] + 1))
    texts = [[text for _, _, text in words(file.read_text())] for file in on_host(command, "fails")]
    assert texts == [["in vain"], ["again"]]
    run.interrupt()
    run.finish()


def test_a_flood_that_is_rotated_many_times(command: Command) -> None:
    """More than the engine keeps at a time: 200000 lines, 56 MB as it writes them."""
    script = "awk 'BEGIN { for (i = 0; i < 200000; i++) printf \"%0200d\\n\", i }'; sleep 100000"
    run = command.run(command.file(with_logs("flood", shell("app", script))))
    run.until_sleeping("app", seconds=100)

    def last() -> bool:
        with on_host(command, "app")[-1].open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 300))
            return file.read().endswith(b"0199999\n")

    eventually(last, "the last line", 60)
    files = on_host(command, "app")
    assert len(files) > 1
    count = 0
    for file in files:
        with file.open() as lines:
            for line in lines:
                assert int(line.rpartition(" ")[2]) == count
                count += 1
    assert count == 200000
    run.interrupt()
    run.finish()


def test_other_drivers_are_refused(command: Command) -> None:
    other = pod("other", shell("app", "true"), volumes=[{"name": "v", "csi": {"driver": "disk.csi.example.com"}}])
    run = command.launch(command.file(other))
    assert run.finish() == 125
    assert "spec.volumes[0].csi.driver" in str(run.err)
    assert STDLOG in str(run.err)
