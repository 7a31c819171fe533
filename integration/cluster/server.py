"""One server process of a test control plane: started, awaited, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# busybox, which the pods of the tests run, knows no signatures of TLS 1.2 but those with SHA-1, and Go from 1.25 on
# takes them only when asked
WITH_SHA1 = {"GODEBUG": "tlssha1=1"}


class ServerError(RuntimeError):
    """A server ended by itself, is not ready in time (the message has the last lines of its log), or runs already."""


class Server:
    """A server that `command` starts in `folder`, where its log is; `ready` says whether it serves."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, ready: Callable[[], bool]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.command = command
        self._folder = folder
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def start(self) -> None:
        """Start the process without waiting until it serves.

        Its standard input stays open as long as this process lives, and it ends when that closes: a test run that
        is killed leaves no servers. Of this process's environment it gets nothing else: no proxy, no user's settings.

        Raises ServerError.
        """
        if self.pid is not None:
            raise ServerError(f"{self.name} runs already")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "CONTROLPLANE_ENDS_WITH_STDIN": "1",
            **WITH_SHA1,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self._folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )

    def wait(self, seconds: float = 60) -> None:
        """Wait until the server serves.

        Raises ServerError.
        """
        deadline = time.monotonic() + seconds
        while not self._ready():
            if self.pid is None:
                raise ServerError(f"{self.name} ended by itself:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not ready after {seconds:.0f} s:\n{self._last_lines()}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP for a server that hangs."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, seconds: float = 5) -> None:
        """End the process with SIGTERM, and after so many seconds with SIGKILL. Does nothing where none runs."""
        if self._process is None:
            return
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None

    def _last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
