"""Many runs of one manifest at the same time, with one state directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.docker.command import Command
from integration.docker.pods import ALWAYS, job, on_term, shell
from integration.docker.records import TERM

pytestmark = pytest.mark.docker

RUNS = 10


def test_ten_runs_at_once_do_not_disturb_each_other(command: Command, tmp_path: Path) -> None:
    """The apps wait at a gate until all of them run; one of the runs is interrupted there."""
    gate = {"name": "gate", "hostPath": {"path": str(tmp_path)}}
    waits = "trap 'exit 0' TERM; (until [ -e /gate/open ]; do sleep 0.2; done; kill 1) & wait"
    app = shell("app", waits, volumeMounts=[{"name": "gate", "mountPath": "/gate"}])
    sidecar = shell("sidecar", on_term("exit 143")) | ALWAYS
    file = command.file(job("same", app, pod_spec={"initContainers": [sidecar], "volumes": [gate]}))
    runs = [command.launch("-o", "json", file) for _ in range(RUNS)]
    assert len({run.node for run in runs}) == RUNS
    for run in runs:
        run.until_sleeping("app", "sidecar", seconds=60)

    interrupted, *others = runs
    interrupted.interrupt()
    assert interrupted.finish() == 130
    assert [run.process.poll() for run in others] == [None] * len(others)
    (tmp_path / "open").touch()
    for run in others:
        assert run.finish(60) == 0
        assert run.job["status"]["succeeded"] == 1
        assert run.one("app").signals == []
    for run in runs:
        assert [instance.name for instance in run.instances()] == ["sidecar", "app"]
        assert run.one("sidecar").signal_numbers == [TERM]
        assert run.one("sidecar").signalled(TERM) > run.one("app").ended
        assert {instance.uid for instance in run.instances()} == {run.pod["metadata"]["uid"]}
