"""The bars at the end of a run."""

from __future__ import annotations

import msgspec
import pytest
from rich.cells import cell_len

from tests.standalone.rehearsal import Act, Rehearsal, at, box, make_pod
from tests.standalone.test_chronicle import told
from tests.standalone.test_tree import MARK, expected, many_pods, mixed_pod, the_seeds_job
from vkprovider.standalone.bars import MOST_ROWS, bars, endings
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.timeline import Band, Phase, Row, Segment, Timeline, timeline
from vkprovider.standalone.tree import Sheet

WIDE = Sheet(width=80)


def drawn(chronicle: Chronicle, second: float, sheet: Sheet = WIDE) -> str:
    lines = bars(timeline(chronicle, at(second)), sheet)
    assert all(cell_len(line.plain) <= sheet.width for line in lines)
    return "\n".join(line.plain for line in lines)


def segments(chronicle: Chronicle, name: str, second: float = 99) -> list[tuple[Phase, float, float]]:
    rows = [row for band in timeline(chronicle, at(second)).bands for row in band.rows]
    return [(s.phase, round(s.begin, 2), round(s.end, 2)) for row in rows if row.name == name for s in row.segments]


def test_the_seeds_job_as_bars() -> None:
    assert drawn(the_seeds_job(60), 60) == expected(
        """
                 0s            10s           20s           30s           40s    exit
        sidecar  ░░░░░██████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒✖  137 -> 0
        app           ╌█████████████                                            0
        ░ pull   ╌ start   █ running   ▒ TERM   ✖ KILL
        """
    )


def test_the_phases_are_those_of_the_chronicle() -> None:
    chronicle = the_seeds_job(60)
    assert segments(chronicle, "sidecar") == [
        (Phase.PULL, 0.3, 3.3),
        (Phase.START, 3.35, 3.45),
        (Phase.RUN, 3.45, 13.6),
        (Phase.TERM, 13.6, 43.6),
        (Phase.KILL, 43.6, 43.62),
    ]
    assert segments(chronicle, "app") == [(Phase.START, 3.5, 3.6), (Phase.RUN, 3.6, 13.6)]
    assert timeline(chronicle, at(99)).seconds == pytest.approx(43.62)


def test_a_startup_probe_makes_the_start_longer_and_a_crash_a_back_off() -> None:
    chronicle = mixed_pod(60)
    assert segments(chronicle, "mesh")[:2] == [(Phase.START, 2.5, 5.6), (Phase.RUN, 5.6, 25.9)]
    assert [phase for phase, _, _ in segments(chronicle, "proxy")] == [
        *[Phase.BACKOFF] * 2,
        *[Phase.START, Phase.RUN] * 3,
    ]


def test_what_has_not_ended_reaches_to_now() -> None:
    assert segments(the_seeds_job(8), "app", second=8) == [(Phase.START, 3.5, 3.6), (Phase.RUN, 3.6, 8.0)]
    assert segments(the_seeds_job(20), "sidecar", second=20)[-1] == (Phase.TERM, 13.6, 20.0)


def test_short_phases_that_matter_claim_a_cell() -> None:
    pod = make_pod(containers=[box("app"), box("sidecar", env=MARK)])
    chronicle = told(Rehearsal(pod, {"app": Act(runs=600), "sidecar": Act(pull=0.5, term=0.2)}).play(900))
    sidecar = drawn(chronicle, 900).splitlines()[1]
    assert (sidecar.count("░"), sidecar.count("▒"), sidecar.count("✖")) == (1, 1, 0)


def test_term_keeps_its_cell_beside_kill() -> None:
    short = make_pod(
        terminationGracePeriodSeconds=2,
        containers=[box("app")],
        initContainers=[box("sidecar", restartPolicy="Always")],
    )
    chronicle = told(Rehearsal(short, {"app": Act(runs=3000), "sidecar": Act()}).play(4000))
    assert drawn(chronicle, 4000).splitlines()[1].endswith("█▒✖  137 -> 0")


def test_a_container_too_short_for_a_cell_is_still_seen() -> None:
    pod = make_pod(containers=[box("app")], initContainers=[box("blink")])
    chronicle = told(Rehearsal(pod, {"app": Act(runs=900), "blink": Act(runs=0.01)}).play(1000))
    assert "█" in drawn(chronicle, 1000).splitlines()[1]


@pytest.mark.parametrize("width", [20, 40, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for chronicle in (the_seeds_job(60), mixed_pod(60), mixed_pod(0), many_pods(), Chronicle()):
        drawn(chronicle, 60, Sheet(width=width))
        assert drawn(chronicle, 60, Sheet(width=width, unicode=False)).replace("…", "").isascii()


@pytest.mark.parametrize("width", [40, 80, 100])
def test_the_heading_of_the_results_is_always_there(width: int) -> None:
    row = Row(name="sidecar", kind="app", segments=(), result="137 -> 0", story="", why="")
    for tenths in range(1, 2000):
        told = Timeline(seconds=tenths / 10, bands=(Band(name="", rows=(row,)),), results=())
        axis, bar = bars(told, Sheet(width=width))[:2]
        assert axis.plain.endswith("  exit")
        assert axis.plain.index("exit") == bar.plain.index("137")


def test_ascii_bars() -> None:
    assert drawn(the_seeds_job(60), 60, Sheet(width=60, unicode=False)) == expected(
        """
                 0s       10s       20s      30s       40s  exit
        sidecar  ...==========~~~~~~~~~~~~~~~~~~~~~~~~~~~X  137 -> 0
        app         -=========                              0
        . pull   - start   = running   ~ TERM   X KILL
        """
    )


def test_several_pods_have_headings() -> None:
    lines = drawn(many_pods(), 9).splitlines()
    assert lines[1] == "test-0"
    assert lines[4] == "test-1"
    told_of = [line.plain for line in endings(timeline(many_pods(), at(9)), WIDE)]
    assert told_of[:3] == [
        "test-0",
        "  side: ended 0.1 s after TERM with code 143, 143 -> 0",
        "    (native sidecar: an init container with restartPolicy Always)",
    ]
    assert told_of[-1] == "Job test: not finished, 0 succeeded, 1 failed (9 s)"


def test_a_hundred_pods_do_not_flood_the_terminal() -> None:
    chronicle = Chronicle()
    one = told(Rehearsal(make_pod(containers=[box("app")]), {"app": Act(runs=1)}).play(9)).pods[0]
    for number in range(100):
        chronicle = chronicle.with_pod(msgspec.structs.replace(one, uid=str(number), name=f"test-{number}"))
    lines = drawn(chronicle, 9).splitlines()
    assert len(lines) == MOST_ROWS + 2
    assert "--timeline FILE.svg shows all" in lines[-2]


def test_the_endings_name_the_rule_on_a_line_of_its_own_where_one_is_too_short() -> None:
    wide = [line.plain for line in endings(timeline(the_seeds_job(60), at(60)), Sheet(width=120))]
    assert wide == [
        "sidecar: ignored TERM for 30 s, killed, 137 -> 0"
        "  (native sidecar: an init container with restartPolicy Always)",
        "app: exit 0 after 10 s",
        "Job test: not finished, 0 succeeded, 0 failed (60 s)",
    ]
    narrow = [line.plain for line in endings(timeline(the_seeds_job(60), at(60)), WIDE)]
    assert narrow[:2] == [
        "sidecar: ignored TERM for 30 s, killed, 137 -> 0",
        "  (native sidecar: an init container with restartPolicy Always)",
    ]


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.1, ["0s", "0.1s"]),
        (4, ["0s", "1s", "2s", "3s", "4s"]),
        (43, ["0s", "10s", "20s", "30s", "40s"]),
        (100, ["0s", "30s", "1m", "1m30s"]),
        (4000, ["0s", "15m", "30m", "45m", "1h"]),
        (200_000, ["0s", "12h", "24h", "36h", "48h"]),
    ],
)
def test_the_axis_has_round_numbers(seconds: float, labels: list[str]) -> None:
    line = Timeline(seconds=seconds, bands=(), results=())
    assert [label for _, label in line.ticks(6)] == labels


def test_nothing_that_ran_backwards_is_drawn() -> None:
    """Clocks of a host and its engine may differ by a little: a TERM before the start takes no time."""
    chronicle = the_seeds_job(60)
    pod = chronicle.pods[0]
    sidecar = pod.containers[0]
    early = msgspec.structs.replace(sidecar.instances[0], term=at(1))
    odd = msgspec.structs.replace(sidecar, instances=(early,))
    chronicle = chronicle.with_pod(msgspec.structs.replace(pod, containers=(odd, pod.containers[1])))
    rows = timeline(chronicle, at(60)).bands[0].rows
    assert all(isinstance(s, Segment) and s.end > s.begin for row in rows for s in row.segments)
    assert drawn(chronicle, 60)
