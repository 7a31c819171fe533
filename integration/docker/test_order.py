"""Who starts after whom, and who stops after whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from integration.docker.command import Command, Run
from integration.docker.conftest import CommandIn
from integration.docker.pods import ALWAYS, MARK, UNTIL_TERM, example, on_term, pod, shell
from integration.docker.records import KILL, TERM

pytestmark = [pytest.mark.docker, pytest.mark.clock]

SIDECARS = ("first-sidecar", "second-sidecar")


@pytest.fixture(scope="module")
def traps(command_in: CommandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """The examples whose containers need 3 s to end, by why they end: Ctrl-C, or the app by itself."""
    with command_in(tmp_path_factory.mktemp("traps")) as command:
        interrupted = command.run("-o", "json", command.file(example("sidecar-order.yaml"), name="order.json"))
        by_itself = command.run("-o", "json", command.file(example("sidecar-exit.yaml"), name="exit.json"))
        interrupted.until_sleeping("app", *SIDECARS)
        interrupted.interrupt()
        for run in (interrupted, by_itself):
            run.finish()
        yield {"Ctrl-C": interrupted, "by itself": by_itself}


@pytest.mark.parametrize("why", ["Ctrl-C", "by itself"])
def test_the_app_ends_first_the_second_sidecar_3_s_later_and_the_first_3_s_after_that(
    traps: dict[str, Run], why: str
) -> None:
    run = traps[why]
    first, second, app = (run.one(name) for name in (*SIDECARS, "app"))
    assert first.started < second.started < app.started
    assert second.ended - app.ended == pytest.approx(3, abs=0.3)
    assert first.ended - second.ended == pytest.approx(3, abs=0.3)
    assert [c.signal_numbers for c in (first, second)] == [[TERM], [TERM]]
    assert app.signal_numbers == ([TERM] if why == "Ctrl-C" else [])
    assert [c.code for c in (first, second, app)] == [0, 0, 0]


@pytest.mark.parametrize(("why", "code"), [("Ctrl-C", 130), ("by itself", 0)])
def test_such_a_pod_has_succeeded(traps: dict[str, Run], why: str, code: int) -> None:
    run = traps[why]
    assert run.process.returncode == code
    assert run.pod["status"]["phase"] == "Succeeded"
    for name in (*SIDECARS, "app"):
        ended = run.status(name)["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"], ended.get("message")) == (0, "Completed", None)


@pytest.mark.parametrize("why", ["Ctrl-C", "by itself"])
def test_all_are_told_of_the_end_when_it_begins(traps: dict[str, Run], why: str) -> None:
    story = traps[why].story("Killing", "TERM")
    named = 3 if why == "Ctrl-C" else 2
    assert [word for _, word in story[:named]] == ["Killing"] * named


def test_a_mixed_pod_starts_in_order_and_stops_in_the_reverse_order(command: Command) -> None:
    """Each sidecar takes a while to end, so that one stopped out of turn would be seen."""
    slowly = on_term("sleep 1; exit 0")
    run = command.run_json(
        pod(
            "mixed",
            shell("app-1", UNTIL_TERM),
            shell("marked-1", slowly, env=MARK),
            shell("app-2", slowly),
            shell("marked-2", slowly, env=MARK),
            initContainers=[shell("init", "sleep 1"), shell("native", slowly) | ALWAYS],
        )
    )
    run.until_sleeping("native", "marked-1", "marked-2", "app-1", "app-2")
    run.interrupt()
    assert run.finish() == 130

    started = ["init", "native", "marked-1", "marked-2", "app-1", "app-2"]
    assert [instance.name for instance in run.instances()] == started
    everyone = {instance.name: instance for instance in run.instances()}
    assert everyone["init"].ended < everyone["native"].created
    for earlier, later in itertools.pairwise(started[1:]):
        assert everyone[earlier].started < everyone[later].created

    app_1, app_2 = everyone["app-1"].signalled(TERM), everyone["app-2"].signalled(TERM)
    assert app_1 == pytest.approx(app_2, abs=0.3)
    for waited_for in ("app-1", "app-2"):
        assert everyone[waited_for].ended <= everyone["marked-2"].signalled(TERM)
    for earlier, later in itertools.pairwise(["marked-2", "marked-1", "native"]):
        assert everyone[earlier].ended <= everyone[later].signalled(TERM)
    assert everyone["marked-2"].signalled(TERM) - everyone["app-2"].ended < 1
    assert all(KILL not in instance.signal_numbers for instance in everyone.values())
    assert all(sandbox.ended > everyone["native"].ended for sandbox in run.sandboxes)


def held_back(form: str) -> dict[str, Any]:
    probe = {"exec": {"command": ["test", "-e", "/tmp/started"]}, "periodSeconds": 1, "failureThreshold": 30}
    sidecar = shell("sidecar", f"sleep 2; touch /tmp/started; {UNTIL_TERM}", startupProbe=probe)
    app, later = shell("app", "exit 0"), shell("later", UNTIL_TERM)
    if form == "native":
        return pod("native", app, initContainers=[sidecar | ALWAYS, later | ALWAYS])
    return pod("marked", app, sidecar | {"env": MARK}, later | {"env": MARK})


def test_the_startup_probe_of_a_sidecar_holds_back_whatever_comes_after_it(command: Command) -> None:
    run = command.run_json(held_back("native"), held_back("marked"))
    assert run.finish() == 0
    for form in ("native", "marked"):
        sidecar, later, app = (run.one(name, form) for name in ("sidecar", "later", "app"))
        probes = [event for event in sidecar.events if event.action == "exec_die"]
        succeeded = [event.at for event in probes if event.attributes["exitCode"] == "0"]
        assert len(probes) > len(succeeded) >= 1
        assert sidecar.started + 2 < succeeded[0] < later.created < app.created
