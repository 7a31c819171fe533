"""vkprovider as a process of its own: started, killed, started again, and looked at when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "vkprovider"
STOP_SECONDS = 30


class Process:
    """``vkprovider`` with arguments; what it says, over all its starts, goes to a file.

    ``environment`` is what it finds there at its next start besides the test's own.
    """

    def __init__(self, arguments: Sequence[str | Path], log: Path) -> None:
        self.environment: Mapping[str, str] = {}
        self._command = [PROGRAM, *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said, over all its starts."""
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the process runs, and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process alone."""
        with self._log.open("ab") as log:
            environment = os.environ | self.environment
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the process with SIGTERM; it must end well. Does nothing where none runs."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        assert code == 0, self.log
        assert "Traceback" not in self.log, self.log
