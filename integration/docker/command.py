"""The command line under test, run as a user runs it: a process of its own, told apart by its state directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from integration.docker.lines import PATIENCE, Lines
from integration.docker.records import Event, Instance, Records, no_sandboxes

T = TypeVar("T")

PROGRAM = (str(Path(sys.executable).with_name("vkprovider")),)
POLL = 0.02  # seconds between two looks at what tells of no change


class Run:
    """A ``vkprovider run`` under way, what it says, and what Docker says of its containers."""

    def __init__(self, process: subprocess.Popen[str], records: Records) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.out = Lines(process.stdout)
        self.err = Lines(process.stderr)
        self._records = records

    @cached_property
    def node(self) -> str:
        """Told by the lock that the process holds; to be asked before it ends for the first time. At its start it
        takes up others for a moment, to see whether they are those of interrupted runs of its own manifest.
        """
        before, found = None, self._run_id()
        while found is None or found != before:
            try:
                self.process.wait(POLL)
            except subprocess.TimeoutExpired:
                before, found = found, self._run_id()
                continue
            raise AssertionError(f"no run was begun:\n{self.err}\n{self.out}")
        return f"run-{found}"

    def _run_id(self) -> str | None:
        descriptors = Path(f"/proc/{self.process.pid}/fd")
        try:
            open_files = [Path(os.readlink(descriptor)) for descriptor in descriptors.iterdir()]
        except OSError:  # one was closed meanwhile, or the process has ended
            return None
        return next((f.parent.name for f in open_files if f.name == "lock" and not f.parent.name.startswith(".")), None)

    # --- what it does -------------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def finish(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and give the exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.err}\n{self.out}") from None
        self.out.join()
        self.err.join()
        self._records.catch_up()
        return code

    # --- what Docker says -----------------------------------------------------------------------------------------

    def until(
        self, action: str, name: str, *, signal: int | None = None, count: int = 1, seconds: float = PATIENCE
    ) -> Event:
        """Wait for something to have happened ``count`` times to containers of this name."""

        def found(events: list[Event]) -> Event | None:
            fitting = [e for e in events if (e.action, e.name) == (action, name)]
            if signal is not None:
                fitting = [e for e in fitting if e.attributes["signal"] == str(signal)]
            return fitting[count - 1] if len(fitting) >= count else None

        return self.until_found(found, f"{action} of {name}", seconds)

    def until_found(self, found: Callable[[list[Event]], T | None], what: str, seconds: float = PATIENCE) -> T:
        try:
            return self._records.until(self.node, found, what, seconds)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.err}\n{self.out}") from None

    def until_sleeping(self, *names: str, count: int = 1, seconds: float = PATIENCE) -> None:
        """Wait until the containers have come to ``sleep``, and so have set their traps."""
        for name in names:
            container = self.until("start", name, count=count, seconds=seconds).container
            eventually(partial(self._sleeps, container), f"{name} sleeps")

    def _sleeps(self, container: str) -> bool:
        return any("sleep" in program for program in self._records.programs(container))

    @property
    def events(self) -> list[Event]:
        return self._records.events(self.node)

    @property
    def sandboxes(self) -> list[Instance]:
        everything = self._records.instances(self.node)
        return [instance for instance in everything if instance not in no_sandboxes(everything)]

    def instances(self, name: str = "") -> list[Instance]:
        """The containers, in the order of their creation, those of sandboxes left out."""
        return [i for i in no_sandboxes(self._records.instances(self.node)) if name in ("", i.name)]

    def one(self, name: str, pod: str = "") -> Instance:
        (instance,) = (i for i in self.instances(name) if pod in ("", i.pod))
        return instance

    # --- what it says ---------------------------------------------------------------------------------------------

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The final objects, of a run with ``-o json``."""
        whole = json.loads(str(self.out))
        items: list[dict[str, Any]] = whole["items"] if whole["kind"] == "List" else [whole]
        return items

    @property
    def job(self) -> dict[str, Any]:
        (job,) = (o for o in self.objects if o["kind"] == "Job")
        return job

    @property
    def pods(self) -> list[dict[str, Any]]:
        return [o for o in self.objects if o["kind"] == "Pod"]

    @property
    def pod(self) -> dict[str, Any]:
        (pod,) = self.pods
        return pod

    def status(self, container: str) -> dict[str, Any]:
        """The final v1.ContainerStatus of a container of the only pod."""
        return status_of(self.pod, container)

    def story(self, *words: str) -> list[tuple[str, str]]:
        """Container and word of each line about a container that has one of these words."""
        found = []
        for line in self.err.all():
            _, mark, rest = line.partition("  container/")
            subject, _, text = rest.partition("  ")
            word = text.split(" ")[0]
            if mark and word in words:
                found.append((subject.split(" ")[0], word))
        return found


class Command:
    """``vkprovider`` with a state directory of its own.

    ``env`` is its whole environment, ``start`` what else ``subprocess`` is told: who it is run by.
    """

    def __init__(
        self,
        records: Records,
        directory: Path,
        *,
        program: Sequence[str] = PROGRAM,
        env: Mapping[str, str] | None = None,
        state_dir: Path | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.records = records
        self.directory = directory
        self.state_dir = state_dir or directory / "state"
        self.runs: list[Run] = []
        self._program = program
        self._env = env or {**os.environ, "VKPROVIDER_STATE_DIR": str(self.state_dir)}
        self._start = start or {}

    def file(self, *objects: dict[str, Any], name: str = "manifest.json") -> str:
        """A manifest file with these objects; its path."""
        path = self.directory / name
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        path.write_text(json.dumps(whole if len(objects) > 1 else objects[0]))
        return str(path)

    def run(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Run:
        """Start ``vkprovider run``, and return when it has begun; its display is on ``out``, with ``-o`` on ``err``."""
        run = self.launch(*arguments, stdin=stdin, env=env)
        _ = run.node
        return run

    def launch(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Run:
        """As ``run``, without waiting: for one that may not get as far."""
        process = self._open("run", *arguments, env=env)
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        run = Run(process, self.records)
        self.runs.append(run)
        return run

    def run_json(self, *objects: dict[str, Any]) -> Run:
        """Run these objects with ``-o json``. The same objects again are the same command again."""
        return self.run("-o", "json", self.file(*objects))

    def down(self, seconds: float = PATIENCE) -> str:
        """``vkprovider down``; what it says."""
        process = self._open("down")
        out, err = process.communicate(timeout=seconds)
        assert process.returncode == 0, f"{out}\n{err}"
        return out

    def left(self) -> list[str]:
        """What is left of all runs, in Docker and on disk."""
        nodes = {run.node for run in self.runs if "node" in run.__dict__}
        directory = self.state_dir / "runs"
        on_disk = [str(path) for path in directory.iterdir()] if directory.is_dir() else []
        return [name for node in nodes for name in self.records.left(node)] + on_disk

    def close(self) -> None:
        """Clean up behind a test that failed."""
        for run in self.runs:
            if run.process.poll() is None:
                run.kill()
            run.out.join()
            run.err.join()
            assert run.process.stdout is not None
            assert run.process.stderr is not None
            run.process.stdout.close()
            run.process.stderr.close()
            if "node" in run.__dict__:
                self.records.remove(run.node)

    def _open(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self._env, **(env or {})},
            **self._start,
        )


@contextmanager
def clean_command(records: Records, directory: Path, **options: Any) -> Iterator[Command]:
    """A command that must have left nothing, in Docker or on disk, when the block ends."""
    command = Command(records, directory, **options)
    try:
        yield command
        assert command.left() == []
    finally:
        command.close()


def status_of(pod: dict[str, Any], container: str) -> dict[str, Any]:
    """The v1.ContainerStatus of a container in a pod's status."""
    status = pod["status"]
    statuses = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    (found,) = (s for s in statuses if s["name"] == container)
    return dict(found)


def conditions_of(obj: dict[str, Any]) -> dict[str, str]:
    """The conditions that are True, with their reasons."""
    return {c["type"]: c.get("reason", "") for c in obj["status"]["conditions"] if c["status"] == "True"}


def seconds(timestamp: str) -> float:
    """A time in a status, in seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()


def eventually(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """Look until what is seen is true of anything, and give it."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        pause.wait(POLL)
    return seen
