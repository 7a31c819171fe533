"""kill -9 of ``vkprovider run``, and what comes after: the same command again, or ``vkprovider down``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from integration.docker.command import Command, Run, eventually
from integration.docker.conftest import CommandIn
from integration.docker.pods import ALWAYS, IDLE, MARK, UNTIL_TERM, job, on_term, pod, shell
from integration.docker.records import KILL, TERM, Event

pytestmark = pytest.mark.docker

FORMS = ("native", "marked")


def with_sidecar(form: str, app: dict[str, Any], sidecar: dict[str, Any], grace: int = 30) -> dict[str, Any]:
    spec: dict[str, Any] = {"terminationGracePeriodSeconds": grace}
    if form == "native":
        return job(form, app, pod_spec=spec | {"initContainers": [sidecar | ALWAYS]}, backoffLimit=0)
    return job(form, app, sidecar | {"env": MARK}, pod_spec=spec, backoffLimit=0)


def start_stubborn(command: Command, form: str, grace: int) -> Run:
    """A Job whose sidecar has to be killed."""
    manifest = with_sidecar(form, shell("app", "sleep 1"), shell("sidecar", IDLE), grace)
    return command.run("-o", "json", command.file(manifest, name=f"{form}-{grace}.json"))


def kill_after_term(command: Command, run: Run) -> None:
    """kill -9 when the sidecar has got TERM, and that is written down."""
    run.until("kill", "sidecar", signal=TERM)
    records = command.state_dir / "runs" / run.node.removeprefix("run-") / "records"
    eventually(lambda: any('"term_sent":true' in text(path) for path in records.glob("*.json")), "TERM is recorded")
    run.kill()


def text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:  # replaced by a newer one just now
        return ""


class Resumed(NamedTuple):
    killed: Run
    again: Run
    grace: int


@pytest.fixture(scope="module")
def resumed(command_in: CommandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Resumed]]:
    """Jobs begun anew after a kill between TERM and KILL: both forms at once, and one when its deadline is over."""
    cases = {"native": ("native", 5), "marked": ("marked", 5), "late": ("native", 2)}
    with command_in(tmp_path_factory.mktemp("resumed")) as command:
        killed = {name: start_stubborn(command, *case) for name, case in cases.items()}
        for run in killed.values():
            kill_after_term(command, run)
        again = {name: start_stubborn(command, *cases[name]) for name in FORMS}
        for run in again.values():
            run.finish()
        again["late"] = start_stubborn(command, *cases["late"])
        again["late"].finish()
        yield {name: Resumed(killed[name], again[name], grace) for name, (_, grace) in cases.items()}


CASES = (*FORMS, "late")


@pytest.mark.clock
@pytest.mark.parametrize("name", CASES)
def test_between_term_and_kill_the_same_command_takes_over(resumed: dict[str, Resumed], name: str) -> None:
    killed, again, _ = resumed[name]
    assert again.node == killed.node
    assert again.process.returncode == 0
    assert again.job["status"]["succeeded"] == 1
    ended = again.status("sidecar")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (0, "Force this container to be success(137, Error, )")


@pytest.mark.clock
@pytest.mark.parametrize("name", CASES)
def test_nothing_has_run_or_been_signalled_twice(resumed: dict[str, Resumed], name: str) -> None:
    again = resumed[name].again
    assert [len(instance.times("start")) for instance in again.instances()] == [1, 1]
    assert again.one("sidecar").signal_numbers == [TERM, KILL]
    assert again.one("app").signals == []


@pytest.mark.clock
@pytest.mark.parametrize("name", FORMS)
def test_kill_comes_at_the_deadline_of_before(resumed: dict[str, Resumed], name: str) -> None:
    _, again, grace = resumed[name]
    sidecar = again.one("sidecar")
    assert sidecar.signalled(KILL) - sidecar.signalled(TERM) == pytest.approx(grace, abs=0.3)


@pytest.mark.clock
def test_kill_comes_at_once_where_the_deadline_is_over(resumed: dict[str, Resumed]) -> None:
    _, again, grace = resumed["late"]
    sidecar = again.one("sidecar")
    assert sidecar.signalled(KILL) - sidecar.signalled(TERM) > grace + 0.5
    assert "KILL sent" in str(again.err)


@pytest.mark.clock
def test_between_term_and_kill_down_removes_all_at_the_deadline(command: Command) -> None:
    runs = [start_stubborn(command, form, 3) for form in FORMS]
    for run in runs:
        kill_after_term(command, run)
    assert command.left() != []
    assert command.down().endswith("removed 2 runs\n")
    waits = []
    for run in runs:
        sidecar = run.one("sidecar")
        assert sidecar.signal_numbers == [TERM, KILL]
        waits.append(sidecar.signalled(KILL) - sidecar.signalled(TERM))
        assert [len(instance.times("start")) for instance in run.instances()] == [1, 1]
    assert min(waits) == pytest.approx(3, abs=0.3)
    assert command.left() == []
    assert command.down() == "nothing to remove\n"


@pytest.mark.parametrize("form", FORMS)
def test_killed_again_and_again_it_still_ends_right_and_nothing_runs_twice(command: Command, form: str) -> None:
    """A kill after each thing that Docker records, from the creation of the sandbox to the sidecar's TERM."""
    chase = [("create", "POD"), ("start", "POD")]
    chase += [(action, name) for name in ("sidecar", "app") for action in ("create", "start")]
    chase += [("die", "app"), ("kill", "sidecar")]
    manifest = with_sidecar(form, shell("app", "sleep 1; exit 3"), shell("sidecar", on_term("exit 143")))
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
    assert last.status("sidecar")["state"]["terminated"]["exitCode"] == 0
    for name, code in (("sidecar", 143), ("app", 3)):
        assert (last.one(name).code, len(last.one(name).times("start"))) == (code, 1)
    assert last.one("app").signals == []
    assert set(last.one("sidecar").signal_numbers) == {TERM}


def test_killed_while_it_runs_down_stops_in_order(command: Command) -> None:
    slowly = on_term("sleep 1; exit 0")
    run = command.run_json(pod("left", shell("app", slowly), initContainers=[shell("sidecar", slowly) | ALWAYS]))
    run.until_sleeping("sidecar", "app")
    run.kill()
    command.down()
    sidecar, app = run.one("sidecar"), run.one("app")
    assert sidecar.signal_numbers == app.signal_numbers == [TERM]
    assert app.ended <= sidecar.signalled(TERM)


def test_killed_while_it_creates_down_removes_all(command: Command) -> None:
    for action, name in (("create", "POD"), ("create", "app")):
        run = command.run_json(pod("left", shell("app", UNTIL_TERM)))
        run.until(action, name)
        run.kill()
    command.down()


@pytest.mark.parametrize("then", ["again", "down"])
def test_killed_while_it_cleans_up_nothing_is_lost_or_left(command: Command, then: str) -> None:
    manifest = pod("cleaning", shell("app", "exit 3"))
    run = command.run_json(manifest)
    run.until_found(sandbox_goes, "the sandbox is removed")
    run.kill()
    if then == "down":
        command.down()
    else:
        again = command.run_json(manifest)
        assert again.node == run.node
        assert again.finish() == 3
        assert again.pod["status"]["phase"] == "Failed"
    assert len(run.one("app").times("start")) == 1


def sandbox_goes(events: list[Event]) -> bool | None:
    return any(event.action in ("kill", "die", "destroy") and event.name == "POD" for event in events) or None


def test_one_that_lives_is_left_alone_by_down(command: Command) -> None:
    run = command.run_json(pod("lives", shell("app", UNTIL_TERM)))
    run.until_sleeping("app")
    assert command.down() == "nothing to remove\n"
    assert run.one("app").signals == []
    run.interrupt()
    assert run.finish() == 130
