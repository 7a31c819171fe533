"""kubectl exec, attach, logs, port-forward and cp on a node, through a real API server."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .clients import Cluster, KubectlError
from .nodes import NodeProcess, on, shell
from .showing import apply
from .showing import pod as pod_of
from .waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

LISTENS = "echo from-loopback >/tmp/index.html; httpd -p 127.0.0.1:8081 -h /tmp; nc -ll -p 8080 -e cat &"
TALKS = "n=0; while sleep 0.2; do n=$((n+1)); echo line $n; echo error $n >&2; done"
REPEATS = "while read word; do echo got $word; done; echo over; sleep 1"


@pytest.fixture(scope="module")
def pod(cluster: Cluster, node: NodeProcess) -> Iterator[Kubectl]:
    """A pod that listens on its loopback, talks, and repeats what it is told, each in a container."""
    spec = on(
        node.name,
        shell("app", f"{LISTENS} exec sleep 100000"),
        shell("talks", TALKS),
        shell("repeats", REPEATS, stdin=True, stdinOnce=True),
        shell("once", "echo first; echo second >&2; printf third"),
        automountServiceAccountToken=False,
    )
    name = f"streams-{node.name}"
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    kubectl = Kubectl(cluster, name)
    eventually(lambda: kubectl.states().get("talks") == "running" and kubectl.states()["once"] == "terminated", 60)
    yield kubectl
    cluster.kubectl("delete", "pod", name, "--wait=false")


class Kubectl:
    """kubectl about one pod."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def states(self) -> dict[str, str]:
        pod = self.cluster.get("pod", self.name)
        return {status["name"]: next(iter(status["state"])) for status in pod["status"].get("containerStatuses", [])}

    def run(self, verb: str, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(verb, *arguments),
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=100,
            check=False,
        )

    @contextmanager
    def start(self, verb: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        with subprocess.Popen(self.command(verb, *arguments), env=self.environment, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [str(self.cluster.program), verb, self.name, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}

    def processes(self) -> str:
        return self.run("exec", "-c", "app", "--", "ps", "-o", "args").stdout.decode()


@pytest.fixture(params=["true", "false"], ids=["websocket", "spdy"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What kubectl speaks to the API server: for years it was SPDY."""
    for subject in ("REMOTE_COMMAND", "PORT_FORWARD"):
        monkeypatch.setenv(f"KUBECTL_{subject}_WEBSOCKETS", request.param)


@pytest.mark.usefixtures("either_way")
def test_output_apart_and_the_exit_code(pod: Kubectl) -> None:
    done = pod.run("exec", "-c", "app", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.stdout, done.returncode) == (b"out\n", 3)
    assert done.stderr.splitlines() == [b"err", b"command terminated with exit code 3"]


def test_input_to_its_end(pod: Kubectl) -> None:
    data = bytes(range(256)) * 40_000
    done = pod.run("exec", "-i", "-c", "app", "--", "cat", stdin=data)
    assert (done.stdout == data, done.stderr, done.returncode) == (True, b"", 0)


def test_a_command_that_is_not_there(pod: Kubectl) -> None:
    done = pod.run("exec", "-c", "app", "--", "no-such-command")
    assert done.returncode in (126, 127)  # older engines and newer ones
    assert b'"no-such-command": executable file not found in $PATH' in done.stdout
    assert done.stderr == b"command terminated with exit code %d\n" % done.returncode


def test_a_container_that_is_not_there_or_does_not_run(pod: Kubectl) -> None:
    done = pod.run("exec", "-c", "absent", "--", "true")
    assert done.returncode == 1
    assert f"container absent is not valid for pod {pod.name}" in done.stderr.decode()
    done = pod.run("exec", "-c", "once", "--", "true")
    told = b"error: " + b"Internal error occurred: " * (pod.cluster.version < (1, 36))  # who told kubectl
    told += b'unable to upgrade connection: container not found ("once")\n'
    assert (done.returncode, done.stderr) == (1, told)


def test_a_command_whose_client_is_killed_ends(pod: Kubectl) -> None:
    with pod.start("exec", "-c", "app", "--", "sh", "-c", "echo begun; exec sleep 4321") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        assert "sleep 4321" in pod.processes()
    eventually(lambda: "sleep 4321" not in pod.processes())


def test_a_terminal_with_its_size(pod: Kubectl) -> None:
    ours, theirs = pty.openpty()
    resize(ours, 30, 100)
    with pod.start("exec", "-it", "-c", "app", "--", "sh", stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, b"while ! stty size | grep '^30 100'; do sleep 0.1; done\n")
        until(ours, b"\n30 100\r\n")
        resize(ours, 44, 155)
        process.send_signal(signal.SIGWINCH)  # the kernel tells only those whose controlling terminal it is
        os.write(ours, b"while ! stty size | grep '^44 155'; do sleep 0.1; done; tty; exit 7\n")
        until(ours, b"\n44 155\r\n/dev/pts/")
        assert process.wait(20) == 7
    os.close(ours)


def resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def until(terminal: int, wanted: bytes) -> None:
    heard = b""
    while wanted not in heard:
        assert select.select([terminal], [], [], 30)[0], f"no more comes after {heard!r}"
        heard += os.read(terminal, 4096)


def test_attach_hears_and_is_heard(pod: Kubectl) -> None:
    done = pod.run("attach", "-i", "-c", "repeats", stdin=b"one\ntwo\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"got one\ngot two\nover\n"


def test_logs(pod: Kubectl) -> None:
    assert sorted(pod.run("logs", "-c", "once").stdout.splitlines()) == [b"first", b"second", b"third"]
    assert pod.run("logs", "-c", "talks", "--limit-bytes=4").stdout in (b"line", b"erro")
    (stamped,) = pod.run("logs", "-c", "talks", "--tail=1", "--timestamps").stdout.splitlines()
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (line|error) \d+", stamped)
    assert len(pod.run("logs", "-c", "talks", "--tail=3").stdout.splitlines()) == 3
    times = [line.split()[0].decode() for line in pod.run("logs", "-c", "talks", "--timestamps").stdout.splitlines()]
    later = pod.run("logs", "-c", "talks", "--timestamps", f"--since-time={times[-1]}").stdout.decode().splitlines()
    wanted = [time for time in times if time[:19] >= times[-1][:19]]  # kubectl asks for whole seconds
    assert [line.split()[0] for line in later][: len(wanted)] == wanted
    assert pod.run("logs", "-c", "talks", "--tail=0").stdout == b""
    assert pod.run("logs", "-c", "once", "-f", "--since=1h").stdout.splitlines(keepends=True)[-1] == b"third"
    assert pod.run("logs", "-c", "once", "--since-time=2099-01-01T00:00:00Z").stdout == b""
    absent = f'previous terminated container "talks" in pod "{pod.name}" not found'
    previous = pod.run("logs", "-c", "talks", "--previous")
    assert previous.stderr.decode() == f"Error from server (BadRequest): {absent}\n"


def test_logs_are_followed(pod: Kubectl) -> None:
    with pod.start("logs", "-f", "-c", "talks", "--tail=1") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers[-1] - numbers[0] in (2, 3, 4)


def test_logs_of_a_container_that_waits(cluster: Cluster, namespace: str, node: NodeProcess) -> None:
    waits = {"name": "waits", "image": "absent.example/image:1", "imagePullPolicy": "Never"}
    apply(cluster, namespace, pod_of("waits", on(node.name, waits)))

    def told() -> str:
        with pytest.raises(KubectlError) as refused:
            cluster.kubectl("logs", "waits", f"--namespace={namespace}")
        return refused.value.stderr

    why = 'container "waits" in pod "waits" is waiting to start: ErrImageNeverPull'
    eventually(lambda: told() == f"Error from server (BadRequest): {why}\n")


@contextmanager
def forwarded(pod: Kubectl, port: int) -> Iterator[int]:
    """The local port that leads to a port of the pod."""
    with pod.start("port-forward", f":{port}", "--address=127.0.0.1") as process:
        assert process.stdout is not None
        told = process.stdout.readline().decode()
        match = re.search(r"127\.0\.0\.1:(\d+) ->", told)
        assert match, told
        yield int(match[1])


def exchange(port: int, data: bytes) -> bytes:
    """What comes back, to the end."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection, ThreadPoolExecutor(1) as pool:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sent = pool.submit(send)
        heard = b""
        while piece := connection.recv(65536):
            heard += piece
        sent.result()
    return heard


@pytest.mark.usefixtures("either_way")
def test_a_port_that_listens_on_the_pods_loopback_only(pod: Kubectl) -> None:
    with forwarded(pod, 8081) as port:
        for _ in range(3):
            assert b"from-loopback" in exchange(port, b"GET /index.html HTTP/1.0\r\n\r\n")


def test_many_connections_to_a_port_at_once(pod: Kubectl) -> None:
    with forwarded(pod, 8080) as port, ThreadPoolExecutor(50) as pool:
        sent = [bytes([number]) * 300_000 for number in range(50)]
        assert list(pool.map(lambda data: exchange(port, data), sent)) == sent


def test_a_port_where_nobody_listens(pod: Kubectl) -> None:
    with pod.start("port-forward", ":81", "--address=127.0.0.1") as process:
        assert process.stdout is not None
        match = re.search(r"127\.0\.0\.1:(\d+) ->", process.stdout.readline().decode())
        assert match
        with socket.create_connection(("127.0.0.1", int(match[1])), 20) as connection:
            assert connection.recv(1) == b""
        told = b"".join(process.stdout.readline() for _ in range(2))
    assert b"Connection refused" in told


@pytest.mark.timeout(300)
def test_200_megabytes_are_copied_both_ways_without_being_held(pod: Kubectl, node: NodeProcess, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    block = hashlib.sha256(b"seed").digest() * 32768
    with there.open("wb") as file:
        for number in range(200):
            file.write(block[number:] + block[:number])
    before = memory(node.pid)
    for source, target in ((str(there), f"{pod.name}:/tmp/copied"), (f"{pod.name}:/tmp/copied", str(back))):
        pod.cluster.kubectl("cp", "-c", "app", source, target, seconds=140)
    with there.open("rb") as first, back.open("rb") as second:
        assert hashlib.file_digest(first, "sha256").digest() == hashlib.file_digest(second, "sha256").digest()
    assert memory(node.pid) - before < 30_000


@pytest.mark.timeout(300)
def test_a_gigabyte_through_exec_without_being_held(pod: Kubectl, node: NodeProcess) -> None:
    before, heard = memory(node.pid), 0
    words = ("dd", "if=/dev/zero", "bs=1000000", "count=1000")
    with pod.start("exec", "-c", "app", "--", *words, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(1 << 20):
            heard += len(piece)
        assert (heard, process.wait(20)) == (1_000_000_000, 0)
    assert memory(node.pid) - before < 30_000


def test_clients_that_stop_reading_hold_nobody_up(pod: Kubectl, node: NodeProcess) -> None:
    before = memory(node.pid)
    words = ("exec", "-c", "app", "--", "cat", "/dev/zero")
    with pod.start(*words) as first, pod.start(*words) as second:
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.read(1) == b"\0"
        for _ in range(5):
            assert pod.run("exec", "-c", "app", "--", "echo", "heard").stdout == b"heard\n"
        assert memory(node.pid) - before < 30_000
    eventually(lambda: "cat /dev/zero" not in pod.processes())


def test_websockets_are_passed_on_to_the_node(cluster: Cluster, pod: Kubectl) -> None:
    if cluster.version < (1, 36):
        pytest.skip("older API servers speak SPDY to nodes")
    assert pod.run("exec", "-c", "app", "--", "echo", "heard").stdout == b"heard\n"
    with forwarded(pod, 8080) as port:
        assert exchange(port, b"through") == b"through"
    counted = cluster.kubectl("get", "--raw=/metrics")
    for subresource in ("exec", "portforward"):
        labels = f'{{proxy_type="proxied_to_kubelet",subresource="{subresource}"}}'
        assert re.search(rf"apiserver_websocket_streaming_requests_total{labels} [1-9]", counted), counted


def memory(pid: int) -> int:
    """The most that a process has had at a time, in kilobytes."""
    (most,) = re.findall(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(most)


def test_a_pod_that_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match="not found"):
        cluster.kubectl("exec", "no-such-pod", "--", "true")


def test_a_node_that_stops_ends_its_sessions_and_serves_again_after(pod: Kubectl, node: NodeProcess) -> None:
    words = ("exec", "-c", "app", "--", "sh", "-c", "echo begun; exec sleep 9876")
    with pod.start(*words) as command, pod.start("logs", "-f", "-c", "talks") as log:
        for process in (command, log):
            assert process.stdout is not None
            assert process.stdout.readline()
        node.stop()
        for process in (command, log):
            process.wait(20)
    node.start()
    eventually(lambda: "sleep 100000" in pod.processes())
    assert "sleep 9876" not in pod.processes()
