"""Plain lines, letter by letter: their format is an interface."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

import pytest

from tests.standalone.rehearsal import Act, Look, Rehearsal, at, box, make_pod, seed_pod
from tests.standalone.test_chronicle import job
from tests.standalone.test_tree import MARK, expected
from vkprovider.core.actions import ProbeFailed
from vkprovider.standalone.chronicle import Chronicle
from vkprovider.standalone.fold import fold_job, fold_look
from vkprovider.standalone.job_view import JobEvent
from vkprovider.standalone.log_view import Output
from vkprovider.standalone.plain import PlainLines


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Told:
    """Plain lines of what is told, and the chronicle that grows with it."""

    def __init__(self) -> None:
        self.plain = PlainLines(io.StringIO())
        self.chronicle = Chronicle()
        self.lines: list[str] = []

    def looks(self, looks: Iterable[Look]) -> Told:
        for view, decision in looks:
            events = [(view.pod, event, view.now) for event in decision.events]
            after = fold_look(self.chronicle, view, decision)
            self.lines += self.plain.changed(self.chronicle, after, events, view.now)
            self.chronicle = after
        return self

    def job(self, when: datetime, **status: object) -> Told:
        after = fold_job(self.chronicle, job(**status), when)
        self.lines += self.plain.changed(self.chronicle, after, [], when)
        self.chronicle = after
        return self


def test_the_seeds_job_line_by_line() -> None:
    told = Told().job(at(0), active=1)
    told.looks(Rehearsal(seed_pod(), {"app": Act(runs=10), "sidecar": Act(pull=3)}).play(60))
    told.job(at(44), succeeded=3, conditions=[{"type": "Complete", "status": "True"}])
    told.lines += told.plain.summary(told.chronicle, at(44.1))
    assert "\n".join(told.lines) == expected(
        """
        12:00:00.000 job/test  Active 1 active, 0/3 succeeded, 0 failed
        12:00:00.000 pod/test-x9k2f  Pending
        12:00:00.000 pod/test-x9k2f  container/sidecar (native sidecar)  PodInitializing
        12:00:00.000 pod/test-x9k2f  container/app (app)  PodInitializing waits for sidecar
        12:00:00.300 pod/test-x9k2f  container/sidecar (native sidecar)  Pulling Pulling image "busybox:1.28"
        12:00:03.300 pod/test-x9k2f  container/sidecar (native sidecar)  Pulled PULLED
        12:00:03.350 pod/test-x9k2f  container/sidecar (native sidecar)  Created Created container: sidecar
        12:00:03.450 pod/test-x9k2f  container/sidecar (native sidecar)  Running
        12:00:03.450 pod/test-x9k2f  container/sidecar (native sidecar)  Started Started container sidecar
        12:00:03.450 pod/test-x9k2f  container/app (app)  Pulled PRESENT
        12:00:03.500 pod/test-x9k2f  container/app (app)  Created Created container: app
        12:00:03.600 pod/test-x9k2f  container/app (app)  Running
        12:00:03.600 pod/test-x9k2f  Running
        12:00:03.600 pod/test-x9k2f  container/app (app)  Started Started container app
        12:00:13.600 pod/test-x9k2f  container/app (app)  Terminated exit 0 (Completed)
        12:00:13.600 pod/test-x9k2f  container/sidecar (native sidecar)  Killing Stopping container sidecar
        12:00:13.600 pod/test-x9k2f  container/sidecar (native sidecar)  TERM sent, KILL in 30 s
        12:00:43.600 pod/test-x9k2f  container/sidecar (native sidecar)  KILL sent
        12:00:43.620 pod/test-x9k2f  container/sidecar (native sidecar)  Terminated exit 137 -> 0 (Completed)
        12:00:43.620 pod/test-x9k2f  Succeeded
        12:00:44.000 job/test  Complete 0 active, 3/3 succeeded, 0 failed
        12:00:44.100 pod/test-x9k2f  container/sidecar (native sidecar)  Summary SIDECAR
        12:00:44.100 pod/test-x9k2f  container/app (app)  Summary app: exit 0 after 10 s
        12:00:44.100 job/test  Summary Job test: Complete, 3 succeeded, 0 failed (44 s)
        """.replace("PULLED", PULLED)
        .replace("PRESENT", 'Container image "busybox:1.28" already present on machine')
        .replace("SIDECAR", SUMMARY)
    )


PULLED = 'Successfully pulled image "busybox:1.28" in 3s (3s including waiting). Image size: 0 bytes.'
SUMMARY = (
    "sidecar: ignored TERM for 30 s, killed, 137 -> 0 (native sidecar: an init container with restartPolicy Always)"
)
FORM = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (pod/\S+(  container/\S+ \([a-z ]+\))?|job/\S+|vkprovider)  \S.*")


def test_every_line_has_the_documented_form() -> None:
    pod = make_pod(containers=[box("app"), box("proxy", env=MARK)])
    told = (
        Told()
        .job(at(0), active=1)
        .looks(Rehearsal(pod, {"app": Act(runs=20), "proxy": Act(runs=1, codes=(1,))}).play(60))
    )
    told.lines += told.plain.note("interrupted: stopping in order\nCtrl-C again kills", at(1))
    assert any("CrashLoopBackOff exit 1 restarted once" in line for line in told.lines)
    assert [line for line in told.lines if not FORM.fullmatch(line)] == []
    assert told.lines[-1] == r"12:00:01.000 vkprovider  interrupted: stopping in order\nCtrl-C again kills"


def test_warnings_can_be_found() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()})
    rehearsal.play(3)
    rehearsal.news.append(ProbeFailed(key="app", reason="Unhealthy", message="Readiness probe failed:\n\x1b[31m503"))
    lines = Told().looks(rehearsal.play(4)).lines
    assert r"12:00:03.000 pod/test-x9k2f  container/app (app)  Warning Unhealthy Readiness probe failed:\n503" in lines


def test_a_failed_job_says_why() -> None:
    failed = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "reached the limit"}]
    told = Told().job(at(0), active=1).job(at(1), active=1).job(at(9), failed=3, conditions=failed)
    assert told.lines == [
        "12:00:00.000 job/test  Active 1 active, 0/3 succeeded, 0 failed",
        "12:00:09.000 job/test  Failed 0 active, 0/3 succeeded, 3 failed (BackoffLimitExceeded)",
    ]


def test_events_of_jobs_are_lines_like_those_of_pods() -> None:
    plain = PlainLines(io.StringIO())
    made = JobEvent(type="Normal", reason="SuccessfulCreate", message="Created pod: test-x9k2f")
    over = JobEvent(type="Warning", reason="BackoffLimitExceeded", message="too often")
    assert [*plain.job_event("test", made, at(1)), *plain.job_event("test", over, at(2))] == [
        "12:00:01.000 job/test  SuccessfulCreate Created pod: test-x9k2f",
        "12:00:02.000 job/test  Warning BackoffLimitExceeded too often",
    ]


def test_a_pod_without_a_job_has_a_summary_of_its_own() -> None:
    pod = make_pod("web", job="", containers=[box("app")])
    told = Told().looks(Rehearsal(pod, {"app": Act(runs=1, codes=(3,))}).play(5))
    assert list(told.plain.summary(told.chronicle, at(5)))[-1] == (
        "12:00:05.000 pod/web  Summary Pod web: Failed, app exit 3 (1.4 s)"
    )


def test_another_stop_signal_is_named() -> None:
    rehearsal = Rehearsal(seed_pod(), {"app": Act(runs=1), "sidecar": Act(stop_signal="SIGQUIT")})
    lines = Told().looks(rehearsal.play(60)).lines
    assert any(line.endswith("TERM sent as QUIT, KILL in 30 s") for line in lines)


def test_output_is_aligned_behind_its_containers_name() -> None:
    told = Told().looks(Rehearsal(seed_pod(), {"app": Act(), "sidecar": Act()}).play(2))
    stream = io.StringIO()
    plain = PlainLines(stream)
    pieces = [
        Output(pod="test-x9k2f", container="app", data=b"one\ntwo\n"),
        Output(pod="test-x9k2f", container="sidecar", data=b"\x1b[2Jthree\r\n"),
    ]
    plain.write(pieces, told.chronicle)
    assert stream.getvalue().splitlines() == [
        "test-x9k2f/app     | one",
        "test-x9k2f/app     | two",
        "test-x9k2f/sidecar | three",
    ]
