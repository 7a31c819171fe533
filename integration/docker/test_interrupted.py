"""kill -9 of ``vkprovider run``, and what comes after: the same command again, or ``vkprovider down``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command, Run, eventually
from integration.docker.pods import ALWAYS, IDLE, MARK, UNTIL_TERM, job, on_term, pod, shell
from integration.docker.records import KILL, TERM, Event

pytestmark = pytest.mark.docker

GRACE = 6


def stubborn(form: str, grace: int) -> dict[str, Any]:
    """A Job whose sidecar has to be killed."""
    app, sidecar = shell("app", "sleep 1"), shell("sidecar", IDLE)
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": grace}
    if form == "native":
        return job("stubborn", app, pod_spec=spec | {"initContainers": [sidecar | ALWAYS]})
    return job("stubborn", app, sidecar | {"env": MARK}, pod_spec=spec)


def killed_after_term(command: Command, manifest: dict[str, Any]) -> Run:
    """A run that was killed when its sidecar had got TERM, and that was written down."""
    run = command.run_json(manifest)
    run.until("kill", "sidecar", signal=TERM)
    records = command.state_dir / "runs" / run.node.removeprefix("run-") / "records"
    eventually(lambda: any('"term_sent":true' in text(path) for path in records.glob("*.json")), "TERM is recorded")
    run.kill()
    return run


def text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # replaced by a newer one just now
        return ""


@pytest.mark.parametrize("form", ["native", "marked"])
def test_between_term_and_kill_the_same_command_keeps_to_the_deadline(command: Command, form: str) -> None:
    manifest = stubborn(form, GRACE)
    killed = killed_after_term(command, manifest)
    again = command.run_json(manifest)
    assert again.node == killed.node
    assert again.finish() == 0
    sidecar, app = again.one("sidecar"), again.one("app")
    assert sidecar.signal_numbers == [TERM, KILL]
    assert sidecar.signalled(KILL) - sidecar.signalled(TERM) == pytest.approx(GRACE, abs=0.5)
    assert len(sidecar.times("start")) == len(app.times("start")) == 1
    ended = again.status("sidecar")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "Force this container to be success(137, Error, )")
    assert again.job["status"]["succeeded"] == 1


@pytest.mark.parametrize("form", ["native", "marked"])
def test_between_term_and_kill_down_removes_all(command: Command, form: str) -> None:
    killed = killed_after_term(command, stubborn(form, 3))
    assert command.left() != []
    assert "removed 1 run\n" in command.down()
    sidecar, app = killed.one("sidecar"), killed.one("app")
    assert sidecar.signal_numbers == [TERM, KILL]
    assert sidecar.signalled(KILL) - sidecar.signalled(TERM) == pytest.approx(3, abs=0.5)
    assert len(sidecar.times("start")) == len(app.times("start")) == 1
    assert command.down() == "nothing to remove\n"


@pytest.mark.parametrize("form", ["native", "marked"])
def test_killed_again_and_again_it_still_ends_right_and_nothing_runs_twice(command: Command, form: str) -> None:
    """A kill after each thing that Docker records, from the creation of the sandbox to the sidecar's end."""
    app, sidecar = shell("app", "sleep 1; exit 3"), shell("sidecar", on_term("exit 143"))
    if form == "native":
        manifest = job("chased", app, pod_spec={"initContainers": [sidecar | ALWAYS]}, backoffLimit=0)
    else:
        manifest = job("chased", app, sidecar | {"env": MARK}, backoffLimit=0)
    chase = [
        ("create", "POD"),
        ("start", "POD"),
        ("create", "sidecar"),
        ("start", "sidecar"),
        ("create", "app"),
        ("start", "app"),
        ("die", "app"),
        ("kill", "sidecar"),
    ]
    nodes = set()
    for action, name in chase:
        run = command.run_json(manifest)
        nodes.add(run.node)
        run.until(action, name)
        run.kill()
    last = command.run_json(manifest)
    assert nodes == {last.node}
    assert last.finish() == 3
    assert last.job["status"]["failed"] == 1
    for name, code in (("sidecar", 143), ("app", 3)):
        assert len(last.one(name).times("start")) == 1
        assert last.one(name).code == code
    assert last.one("app").signals == []
    assert set(last.one("sidecar").signal_numbers) == {TERM}
    assert last.status("sidecar")["state"]["terminated"]["exitCode"] == 0


def test_killed_while_it_runs_down_stops_in_order(command: Command) -> None:
    slowly = on_term("sleep 1; exit 0")
    run = command.run_json(pod("left", shell("app", slowly), initContainers=[shell("sidecar", slowly) | ALWAYS]))
    run.until_sleeping("sidecar", "app")
    run.kill()
    assert "removed 1 run\n" in command.down()
    sidecar, app = run.one("sidecar"), run.one("app")
    assert sidecar.signal_numbers == app.signal_numbers == [TERM]
    assert app.ended <= sidecar.signalled(TERM)


def test_killed_while_it_creates_down_removes_all(command: Command) -> None:
    for action, name in (("create", "POD"), ("create", "app")):
        run = command.run_json(pod("left", shell("app", UNTIL_TERM)))
        run.until(action, name)
        run.kill()
    command.down()


def test_one_that_lives_is_left_alone_by_down(command: Command) -> None:
    run = command.run_json(pod("lives", shell("app", UNTIL_TERM)))
    run.until_sleeping("app")
    assert command.down() == "nothing to remove\n"
    assert run.one("app").signals == []
    run.interrupt()
    assert run.finish() == 130


def test_killed_while_it_cleans_up_nothing_is_left_after_down(command: Command) -> None:
    run = command.run_json(pod("cleaning", shell("app", "exit 0")))
    run.until_found(sandbox_goes, "the sandbox is removed")
    run.kill()
    command.down()
    assert len(run.one("app").times("start")) == 1


def sandbox_goes(events: list[Event]) -> bool | None:
    return any(event.action in ("kill", "die", "destroy") and event.name == "POD" for event in events) or None
