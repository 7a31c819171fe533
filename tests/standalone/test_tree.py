"""The live tree, letter by letter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.text import Text

from tests.standalone.rehearsal import Act, Rehearsal, at, box, make_pod, seed_pod
from tests.standalone.test_chronicle import job, told
from vkprovider.model.engine import PullProgress
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.fold import fold_job, fold_progress
from vkprovider.standalone.tree import Sheet, tree

WIDE = Sheet(width=80)
MARK = [{"name": "__IS_SIDECAR__", "value": "true"}]


def drawn(chronicle: Chronicle, second: float, sheet: Sheet = WIDE) -> str:
    lines = tree(chronicle, at(second), sheet)
    assert all(cell_len(line.plain) <= sheet.width for line in lines)
    return "\n".join(line.plain.rstrip() for line in lines)


def expected(picture: str) -> str:
    """A picture as it stands in a test: without the first line break and the indentation."""
    return "\n".join(line.removeprefix("        ") for line in picture.strip("\n").rstrip().splitlines())


def the_seeds_job(until: float) -> Chronicle:
    chronicle = fold_job(Chronicle(), job(active=1), at(0))
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=10), "sidecar": Act(pull=3)})
    return told(rehearsal.play(until), chronicle)


def mixed_pod(until: float) -> Chronicle:
    mesh = box("mesh", restartPolicy="Always", startupProbe={"exec": {"command": ["true"]}})
    pod = make_pod(
        "mixed-7",
        job="",
        containers=[box("web"), box("a-worker-with-a-long-name"), box("proxy", env=MARK)],
        initContainers=[box("prepare"), mesh],
    )
    acts = {
        "web": Act(runs=20),
        "a-worker-with-a-long-name": Act(runs=12, codes=(3,)),
        "proxy": Act(runs=1.5, codes=(1, 3)),
        "prepare": Act(runs=2),
        "mesh": Act(probe_passes=3, term=0.5),
    }
    return told(Rehearsal(pod, acts).play(until))


def test_a_pull_shows_its_progress_and_the_app_what_it_waits_for() -> None:
    chronicle = the_seeds_job(2)
    progress = PullProgress(image="busybox:1.28", current_bytes=3_200_000, total_bytes=7_100_000, status="Downloading")
    pulling = fold_progress(chronicle, seed_pod(), "sidecar", progress)
    assert drawn(chronicle, 2) == expected(
        """
        Job test  1 active, 0/3 succeeded                                             2s
        └─ test-x9k2f  Pending                                                        2s
           ├─ sidecar  native sidecar  ◐ Pulling  busybox:1.28
           └─ app      app             ◌ PodInitializing  waits for sidecar
        """
    )
    assert drawn(pulling, 2).splitlines()[2] == (
        "   ├─ sidecar  native sidecar  ◐ Pulling  ━━━━━━━━━───────────  45% 3.2/7.1 MB"
    )


def test_a_sidecar_being_stopped_counts_down_to_its_kill() -> None:
    chronicle = the_seeds_job(20)
    assert drawn(chronicle, 20) == expected(
        """
        Job test  1 active, 0/3 succeeded                                            20s
        └─ test-x9k2f  Running                                                       20s
           ├─ sidecar  native sidecar  ◐ Stopping   TERM 6s ago, KILL in 24s         16s
           └─ app      app             ✔ Completed  exit 0                           10s
        """
    )
    assert "TERM 7s ago, KILL in 23s" in drawn(chronicle, 21)


def test_the_end_shows_the_true_and_the_published_exit_code() -> None:
    complete = job(succeeded=3, conditions=[{"type": "Complete", "status": "True"}])
    chronicle = fold_job(the_seeds_job(50), complete, at(44))
    assert drawn(chronicle, 50) == expected(
        """
        Job test  Complete  3/3 succeeded                                            44s
        └─ test-x9k2f  Succeeded                                                     43s
           ├─ sidecar  native sidecar  ✔ Completed  exit 137 -> 0                    40s
           └─ app      app             ✔ Completed  exit 0                           10s
        """
    )


def test_kinds_are_shortened_before_anything_is_cut() -> None:
    assert drawn(mixed_pod(17), 17) == expected(
        """
        Pod mixed-7  Running                                                         17s
        ├─ prepare                    init    ✔ Completed         exit 0              2s
        ├─ mesh                       native  ● Running                              14s
        ├─ proxy                      marked  ✖ CrashLoopBackOff  exit 3, restarted once
        ├─ web                        app     ● Running                              11s
        └─ a-worker-with-a-long-name  app     ● Running                              10s
        """
    )


def test_a_startup_probe_that_holds_the_apps_back_is_seen() -> None:
    lines = drawn(mixed_pod(4), 4).splitlines()
    assert lines[2] == "├─ mesh                       native  ◐ Starting         not started yet      1s"
    assert lines[4] == "├─ web                        app     ◌ PodInitializing  waits for mesh"


def test_what_is_wrong_is_told_below_and_wrapped() -> None:
    error = 'failed to resolve reference "docker.io/nope/none:1":\n pull access denied, \x1b[31mrepository\x1b[0m [red]'
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=1, pull_error=error)})
    assert drawn(told(rehearsal.play(1.5)), 1.5) == expected(
        """
        Job test  0 succeeded                                                         1s
        └─ test-x9k2f  Pending                                                        1s
           ├─ sidecar  native sidecar  ✖ ErrImagePull
           │    failed to resolve reference "docker.io/nope/none:1": pull access denied,
           │    repository [red]
           └─ app      app             ◌ PodInitializing  waits for sidecar
        """
    )


def test_a_very_long_message_is_cut_after_three_lines() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act(pull=1, pull_error="no such thing " * 40)})
    lines = drawn(told(rehearsal.play(1.5)), 1.5).splitlines()
    assert len(lines) == 7
    assert lines[5].endswith("…")


def test_a_pods_own_trouble_is_shown_until_a_container_is_there() -> None:
    chronicle = told(Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()}).play(0.2))
    pod = msgspec.structs.replace(chronicle.pods[0], warning='FailedMount: configmap "web" not found')
    assert '   │    FailedMount: configmap "web" not found' in drawn(chronicle.with_pod(pod), 1)
    later = told(Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()}).play(2))
    pod = msgspec.structs.replace(later.pods[0], warning='FailedMount: configmap "web" not found')
    assert "FailedMount" not in drawn(later.with_pod(pod), 2)


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 100, 200])
@pytest.mark.parametrize("second", [0, 1, 4, 20, 70])
def test_no_line_is_wider_than_the_terminal(width: int, second: float) -> None:
    assert drawn(mixed_pod(second), second, Sheet(width=width))
    assert drawn(the_seeds_job(second), second, Sheet(width=width, unicode=False))


def test_a_narrow_terminal_is_not_told_the_kinds() -> None:
    assert drawn(the_seeds_job(20), 20, Sheet(width=48)) == expected(
        """
        Job test  1 active, 0/3 succeeded            20s
        └─ test-x9k2f  Running                       20s
           ├─ sidecar  ◐ Stopping   TERM 6s ago, K…  16s
           └─ app      ✔ Completed  exit 0           10s
        """
    )


def test_a_terminal_without_unicode_gets_ascii() -> None:
    text = drawn(the_seeds_job(20), 20, Sheet(width=80, unicode=False))
    assert text.isascii()
    assert "`- app      app             + Completed  exit 0" in text


def many_pods() -> Chronicle:
    chronicle = fold_job(Chronicle(), job(active=2, failed=1), at(0))
    for number in range(6):
        pod = make_pod(f"test-{number}", containers=[box("app")], initContainers=[box("side", restartPolicy="Always")])
        runs = 2 if number < 4 else None
        chronicle = told(Rehearsal(pod, {"app": Act(runs=runs, codes=(1,)), "side": Act(term=0.1)}).play(9), chronicle)
    return chronicle


def test_pods_that_ended_are_cut_down_first_where_the_terminal_is_too_low() -> None:
    chronicle = many_pods()
    assert len(tree(chronicle, at(9), Sheet(width=80, height=19))) == 19
    assert drawn(chronicle, 9, Sheet(width=80, height=18)) == expected(
        """
        Job test  2 active, 0/3 succeeded, 1 failed                                   9s
        ├─ test-0  Failed  side exit 143 -> 0, app exit 1                             2s
        ├─ test-1  Failed  side exit 143 -> 0, app exit 1                             2s
        ├─ test-2  Failed  side exit 143 -> 0, app exit 1                             2s
        ├─ test-3  Failed  side exit 143 -> 0, app exit 1                             2s
        ├─ test-4  Running                                                            9s
        │  ├─ side  native sidecar  ● Running                                         8s
        │  └─ app   app             ● Running                                         8s
        └─ test-5  Running                                                            9s
           ├─ side  native sidecar  ● Running                                         8s
           └─ app   app             ● Running                                         8s
        """
    )
    assert len(drawn(chronicle, 9, Sheet(width=80, height=10)).splitlines()) == 7
    assert drawn(chronicle, 9, Sheet(width=80, height=6)) == expected(
        """
        Job test  2 active, 0/3 succeeded, 1 failed                                   9s
        ├─ pods that ended: 4 Failed
        ├─ test-4  Running                                                            9s
        └─ test-5  Running                                                            9s
        """
    )
    assert drawn(chronicle, 9, Sheet(width=80, height=3)).splitlines()[2] == "2 more lines"


def styles_of(line: Text) -> dict[str, Any]:
    return {line.plain[span.start : span.end].strip(): span.style for span in line.spans}


def test_states_have_colours() -> None:
    lines = tree(mixed_pod(17), at(17), WIDE)
    assert styles_of(lines[1])["✔ Completed"] == "green"
    assert styles_of(lines[2])["● Running"] == "green"
    assert styles_of(lines[3])["✖ CrashLoopBackOff"] == "red"
    assert styles_of(tree(the_seeds_job(20), at(20), WIDE)[2])["◐ Stopping"] == "cyan"
