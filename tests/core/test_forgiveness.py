"""Whose exit code is published as 0: docs/reference/sidecars.md, "Forgiveness" and "More switches"."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.given import at, container, deleted, exited, given, marked, native, pod, running
from tests.core.told import ENDED, FORGIVEN, confirmed, published, signals, stopped
from vkprovider.core.decide import decide
from vkprovider.core.record import PodRecord
from vkprovider.core.view import CoreSettings

JOB = pod(container("app"), marked("side"))


@pytest.mark.parametrize("code", [137, 143, 1, 255])
@pytest.mark.parametrize("kind", ["marked", "native"])
def test_any_code_of_a_stopped_sidecar_is_forgiven(code: int, kind: str):
    p = pod(container("app"), marked("s")) if kind == "marked" else pod(container("app"), inits=(native("s"),))
    decision = decide(given(p, exited(p, "app"), exited(p, "s", code), record=stopped("s")))
    terminated = published(decision, "s")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (0, FORGIVEN.format(code))
    assert decision.status["phase"] == "Succeeded"


def test_the_message_keeps_the_reason_and_the_termination_message():
    dead = exited(JOB, "side", 137, oom_killed=True, message="bye")
    decision = decide(given(JOB, exited(JOB, "app"), dead, record=stopped("side")))
    message = published(decision, "side")["state"]["terminated"]["message"]
    assert message == "Force this container to be success(137, OOMKilled, bye)"


def test_a_sidecar_that_ended_well_needs_no_forgiveness():
    decision = decide(given(JOB, exited(JOB, "app"), exited(JOB, "side", 0), record=stopped("side")))
    terminated = published(decision, "side")["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert "message" not in terminated


@pytest.mark.parametrize("record", [PodRecord(start_time=at(0), ending=ENDED), stopped("side", term=False)])
def test_an_end_that_vkprovider_did_not_cause_is_not_forgiven(record: PodRecord):
    decision = decide(given(JOB, exited(JOB, "app"), exited(JOB, "side", 3), record=record))
    assert published(decision, "side")["state"]["terminated"]["exitCode"] == 3
    assert decision.status["phase"] == "Succeeded"


def test_apps_are_never_forgiven():
    p = deleted(pod(container("app")))
    decision = decide(given(p, exited(p, "app", 137), record=stopped("app")))
    assert published(decision, "app")["state"]["terminated"]["exitCode"] == 137
    assert decision.status["phase"] == "Failed"


@pytest.mark.parametrize(
    ("setting", "native_code", "marked_code"), [("all", 0, 0), ("marked", 137, 0), ("none", 137, 137)]
)
def test_the_forgive_setting(setting: str, native_code: int, marked_code: int):
    p = pod(container("app"), marked("m"), inits=(native("n"),))
    view = given(p, exited(p, "app"), exited(p, "m", 137), exited(p, "n", 137), record=stopped("m", "n"))
    view = msgspec.structs.replace(view, settings=CoreSettings(node_name="node", forgive=setting))
    decision = decide(view)
    assert published(decision, "n")["state"]["terminated"]["exitCode"] == native_code
    assert published(decision, "m")["state"]["terminated"]["exitCode"] == marked_code
    assert decision.status["phase"] == "Succeeded"


def switched(name: str, value: str = "true") -> dict[str, Any]:
    return {"env": [{"name": name, "value": value}]}


def test_an_ignored_exit_code_counts_as_success_when_the_container_ends_for_good():
    p = pod(container("app"), container("noisy", **switched("ECI_CONTAINER_IGNORE_EXIT_CODE")))
    decision = decide(given(p, exited(p, "app"), exited(p, "noisy", 7)))
    assert decision.status["phase"] == "Succeeded"
    assert published(decision, "noisy")["state"]["terminated"]["message"] == FORGIVEN.format(7)


def test_a_job_sidecar_starts_with_the_apps_and_is_stopped_and_forgiven_at_the_end():
    p = pod(container("app"), container("helper", **switched("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT")))
    end = decide(given(p, exited(p, "app"), *running(p, "helper"), when=10))
    assert signals(end) == [("helper", "TERM")]
    over = decide(given(p, exited(p, "app"), exited(p, "helper", 143), when=11, **confirmed(end)))
    assert over.status["phase"] == "Succeeded"
    assert published(over, "helper")["state"]["terminated"]["exitCode"] == 0


def test_a_job_sidecar_that_failed_by_itself_counts():
    p = pod(container("app"), container("helper", **switched("KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT")))
    decision = decide(given(p, exited(p, "app"), exited(p, "helper", 3)))
    assert decision.status["phase"] == "Failed"


def test_a_job_sidecar_whose_exit_code_is_ignored_does_not():
    env = [
        {"name": f"KRUISE_TERMINATE_SIDECAR_{what}", "value": "true"} for what in ("WHEN_JOB_EXIT", "IGNORE_EXIT_CODE")
    ]
    p = pod(container("app"), container("helper", env=env), container("alone", env=env[1:]))
    for name, phase in (("helper", "Succeeded"), ("alone", "Failed")):
        codes = {"app": 0, "helper": 0, "alone": 0} | {name: 3}
        decision = decide(given(p, *(exited(p, each, code) for each, code in codes.items())))
        assert decision.status["phase"] == phase


def test_exit_priorities_order_the_apps_among_themselves():
    p = pod(
        container("a", **switched("ECI_CONTAINER_EXIT_PRIORITY", "-5")),
        container("b", **switched("ECI_CONTAINER_EXIT_PRIORITY", "10")),
        container("c"),
    )
    decision = decide(given(deleted(p), *running(p, "a", "b", "c"), when=0))
    assert signals(decision) == [("b", "TERM")]
