"""The command line itself: what it prints, what it ends with, and that it leaves nothing behind."""

from __future__ import annotations

import json
import signal
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.docker.command import Command
from integration.docker.pods import ALWAYS, IDLE, IMAGE, UNTIL_TERM, on_term, pod, shell
from integration.docker.records import KILL, TERM

pytestmark = pytest.mark.docker

OWN_ERROR = 125
INTERRUPTIONS = {130: signal.SIGINT, 143: signal.SIGTERM}
HELLO = pod("hello", shell("app", "echo to stdout; echo to stderr >&2"), initContainers=[shell("init", "echo first")])


def test_without_a_terminal_there_is_a_line_for_each_change(command: Command) -> None:
    steady = pod("hello", shell("app", "sleep 1"), initContainers=[shell("init", "sleep 1")])
    run = command.run(command.file(steady))
    assert run.finish() == 0
    words = [line.split("  ", 1)[1] for line in run.out.all() if " pod/hello  " in line]
    for word in (
        "Pending",
        "container/init (init)  Running",
        "container/init (init)  Terminated exit 0 (Completed)",
        "container/app (app)  Running",
        "container/app (app)  Terminated exit 0 (Completed)",
        "Succeeded",
    ):
        assert word in words
    assert words[-1].startswith("Summary Pod hello: Succeeded (")
    assert run.err.all() == []


def test_logs_are_shown_with_the_names_of_their_containers(command: Command) -> None:
    run = command.run("--logs", command.file(HELLO))
    assert run.finish() == 0
    shown = {line for line in run.out.all() if " | " in line}
    assert {"hello/app  | to stdout", "hello/app  | to stderr", "hello/init | first"} == shown


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_final_objects_are_printed_alone(command: Command, form: str) -> None:
    run = command.run("-o", form, command.file(HELLO))
    assert run.finish() == 0
    printed: Any = json.loads(str(run.out)) if form == "json" else yaml.safe_load(str(run.out))
    assert (printed["kind"], printed["status"]["phase"]) == ("Pod", "Succeeded")
    assert printed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert printed["status"]["startTime"]
    assert "Summary Pod hello: Succeeded" in str(run.err)


def test_a_manifest_may_come_from_standard_input(command: Command) -> None:
    text = "---\n".join(yaml.safe_dump(pod(name, shell("app", "exit 0"))) for name in ("one", "two"))
    run = command.run("-o", "json", "-", stdin=text)
    assert run.finish() == 0
    assert [o["metadata"]["name"] for o in run.objects] == ["one", "two"]


def test_the_timeline_is_written_as_a_picture(command: Command, tmp_path: Path) -> None:
    picture = tmp_path / "timeline.svg"
    sidecar = shell("a-sidecar", IDLE) | ALWAYS
    spec = pod("hello", shell("app", "exit 0"), initContainers=[sidecar], terminationGracePeriodSeconds=1)
    run = command.run("--timeline", str(picture), command.file(spec))
    assert run.finish() == 0
    root = ET.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = " ".join(text for text in root.itertext())
    assert "a-sidecar" in texts
    assert "TERM" in texts
    assert "KILL" in texts


def test_a_picture_that_cannot_be_written_costs_neither_the_exit_code_nor_the_next_run(command: Command) -> None:
    file = command.file(pod("seven", shell("app", "exit 7")))
    for _ in range(2):
        run = command.run("--timeline", "/dev/full", file)
        assert run.finish() == 7
        assert run.err.all() == ["vkprovider: --timeline /dev/full: No space left on device"]
        assert "container/app (app)  Terminated exit 7 (Error)" in str(run.out)
        assert list((command.state_dir / "runs").iterdir()) == []
    fine = command.run("--timeline", "/dev/full", command.file(HELLO))
    assert fine.finish() == OWN_ERROR


def test_an_interruption_when_all_is_over_leaves_nothing(command: Command) -> None:
    runs = [command.run(command.file(pod(name, shell("app", "exit 0")), name=name)) for name in ("one", "two", "three")]
    for run in runs:
        run.out.until_line("Summary Pod")
        run.process.send_signal(signal.SIGTERM)
    assert {run.finish() for run in runs} <= {0, 143, -signal.SIGTERM}
    assert list((command.state_dir / "runs").iterdir()) == []


def test_kept_containers_can_be_looked_at_until_down(command: Command) -> None:
    file = command.file(pod("kept", shell("app", "echo kept; exit 3")))
    run = command.run("--keep", "-o", "json", file)
    assert run.finish() == 3
    (name,) = (name for name in command.records.left(run.node) if "_app_" in name)
    client = command.records.client
    assert client.logs(name) == b"kept\n"
    state = client.inspect_container(name)["State"]
    assert (state["Running"], state["ExitCode"]) == (False, 3)
    assert f"docker://{client.inspect_container(name)['Id']}" == run.status("app")["containerID"]

    another = command.run("--keep", "-o", "json", file)  # the same command again begins anew
    assert another.finish() == 3
    assert another.node != run.node
    assert command.down().endswith("removed 2 runs\n")
    assert command.left() == []


def test_the_exit_code_is_the_apps(command: Command) -> None:
    codes = (1, 3, 255)
    files = [command.file(pod("fails", shell("app", f"exit {code}")), name=f"{code}.json") for code in codes]
    runs = [command.run(file) for file in files]
    assert tuple(run.finish() for run in runs) == codes


def test_a_failing_init_container_decides_too(command: Command) -> None:
    run = command.run_json(pod("fails", shell("app", "exit 0"), initContainers=[shell("init", "exit 7")]))
    assert run.finish() == 7
    assert [instance.name for instance in run.instances()] == ["init"]


def test_a_program_that_is_not_in_the_image_is_told(command: Command) -> None:
    app = {"name": "app", "image": IMAGE, "command": ["/no/such/program"]}
    run = command.run_json(pod("absent", app))
    assert run.finish() not in (0, OWN_ERROR)
    assert "/no/such/program" in str(run.err)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\n", "apiVersion"),
        ("a: b: c\n", "line 1, column 5"),
        ("", "holds no objects"),
        (json.dumps(HELLO).replace('"command"', '"comand"'), 'did you mean "command"'),
    ],
)
def test_a_bad_manifest_creates_nothing(command: Command, text: str, words: str) -> None:
    run = command.launch("-", stdin=text)
    assert run.finish() == OWN_ERROR
    assert words in str(run.err)
    assert not command.state_dir.exists()


def test_an_engine_that_cannot_be_reached_leaves_no_trace(command: Command) -> None:
    run = command.launch(command.file(HELLO), env={"DOCKER_HOST": "unix:///nonexistent"})
    assert run.finish() == OWN_ERROR
    assert run.err.all()[0] == "vkprovider: cannot talk to the Docker engine: No such file or directory"
    assert command.left() == []


def test_an_interrupted_run_stops_in_order(command: Command) -> None:
    slowly = on_term("sleep 1; exit 0")
    manifest = pod("stops", shell("app", slowly), initContainers=[shell("sidecar", slowly) | ALWAYS])
    runs = {code: command.run_json(manifest) for code in INTERRUPTIONS}
    for code, run in runs.items():
        run.until_sleeping("sidecar", "app")
        run.process.send_signal(INTERRUPTIONS[code])
    for code, run in runs.items():
        assert run.finish() == code
        sidecar, app = run.one("sidecar"), run.one("app")
        assert app.signal_numbers == sidecar.signal_numbers == [TERM]
        assert sidecar.signalled(TERM) >= app.ended


def test_a_second_ctrl_c_kills_at_once(command: Command) -> None:
    run = command.run_json(pod("stubborn", shell("app", IDLE), initContainers=[shell("sidecar", IDLE) | ALWAYS]))
    run.until("start", "app")
    run.interrupt()
    run.until("kill", "app", signal=TERM)
    asked = time.monotonic()
    run.interrupt()
    assert run.finish() == 130
    assert time.monotonic() - asked < 5
    sidecar, app = run.one("sidecar"), run.one("app")
    assert app.signal_numbers == [TERM, KILL]
    assert app.signalled(KILL) - app.signalled(TERM) < 5
    assert KILL in sidecar.signal_numbers
    assert (app.code, sidecar.code) == (137, 137)


def test_ctrl_c_before_anything_runs(command: Command) -> None:
    """As soon as the run has a directory; what it has come to by the time of the signal is left to chance."""
    run = command.run_json(pod("early", shell("app", UNTIL_TERM)))
    run.interrupt()
    assert run.finish() == 130
