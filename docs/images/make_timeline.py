"""Make timeline.svg, the picture in the README: a Job whose app runs for ten seconds and whose sidecar ignores TERM.

    python docs/images/make_timeline.py

The times are made up and fixed. A test holds the picture in the tree to what this prints.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from vkprovider.core.sidecars import Kind
from vkprovider.model.refs import ContainerID, PodUID
from vkprovider.standalone.chronicle import Chronicle, ContainerStory, Instance, JobStory, PodStory, Pull, State
from vkprovider.standalone.svg import svg
from vkprovider.standalone.timeline import timeline

PICTURE = Path(__file__).with_name("timeline.svg")


def at(seconds: float) -> datetime:
    return datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds)


SIDECAR = ContainerStory(
    name="sidecar",
    kind=Kind.NATIVE,
    why="native sidecar: an init container with restartPolicy Always",
    state=State.TERMINATED,
    reason="Completed",
    pulls=(Pull(image="busybox:1.28", began=at(0.4), ended=at(3.6)),),
    instances=(
        Instance(
            id=ContainerID("sidecar"),
            attempt=0,
            created=at(3.7),
            started=at(3.9),
            up=at(3.9),
            stop_cause="end",
            term=at(14.35),
            kill_due=at(44.35),
            kill=at(44.35),
            finished=at(44.4),
            exit_code=137,
            published_code=0,
        ),
    ),
)
APP = ContainerStory(
    name="app",
    kind=Kind.APP,
    why="app: a regular container without a sidecar mark",
    state=State.TERMINATED,
    reason="Completed",
    instances=(
        Instance(
            id=ContainerID("app"),
            attempt=0,
            created=at(4.0),
            started=at(4.2),
            up=at(4.2),
            finished=at(14.3),
            exit_code=0,
            published_code=0,
        ),
    ),
)
POD = PodStory(
    uid=PodUID("1"),
    namespace="default",
    name="test-x9k2f",
    job="test",
    phase="Succeeded",
    began=at(0),
    ended=at(44.5),
    containers=(SIDECAR, APP),
)
JOB = JobStory(
    namespace="default", name="test", began=at(0), ended=at(44.6), completions=1, succeeded=1, condition="Complete"
)


def picture() -> str:
    return svg(timeline(Chronicle(jobs=(JOB,), pods=(POD,)), at(44.6)))


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
