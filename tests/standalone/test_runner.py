"""Whole runs on a fake Docker, in virtual time: what users get to see of Jobs and Pods, and when it is over."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes.programs import ends, ignores_term, on_term
from tests.fakes.virtual_time import T0, virtual_time
from tests.standalone.processes import Docker, Process, bare_pod, box, job, running

ALWAYS = {"restartPolicy": "Always"}
MARKED = {"env": [{"name": "__IS_SIDECAR__", "value": "true"}]}


def seconds(docker: Docker, name: str) -> list[tuple[float, float]]:
    """When each instance of a container began and ended."""
    return [
        ((c.started_at - T0).total_seconds(), (c.finished_at - T0).total_seconds())
        for c in docker.ever(name)
        if c.started_at is not None and c.finished_at is not None
    ]


def nothing_is_left(state_dir: Path, docker: Docker) -> bool:
    return docker.containers == [] and list((state_dir / "runs").iterdir()) == []


@virtual_time
async def test_the_seeds_job(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    docker.program("sidecar", ignores_term())
    process = Process(tmp_path, docker, job("test", box("app"), inits=(box("sidecar", **ALWAYS),), backoffLimit=2))
    assert await process.run() == 0
    status = process.jobs()["test"]
    assert (status["succeeded"], [c["type"] for c in status["conditions"]]) == (1, ["SuccessCriteriaMet", "Complete"])
    (pod,) = process.pods()
    assert pod["status"]["phase"] == "Succeeded"
    (sidecar,) = pod["status"]["initContainerStatuses"]
    assert sidecar["state"]["terminated"]["message"] == "Force this container to be success(137, Error, )"
    assert (seconds(docker, "app"), seconds(docker, "sidecar")) == ([(0, 10)], [(0, 40)])
    assert nothing_is_left(tmp_path, docker)
    assert process.screen.job_events == [("test", "SuccessfulCreate"), ("test", "Completed")]


@virtual_time
async def test_a_failing_job_makes_one_pod_more_than_its_backoff_limit(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(3))
    process = Process(tmp_path, docker, job("test", box("app"), backoffLimit=2))
    assert await process.run() == 3
    status = process.jobs()["test"]
    assert status["failed"] == 3
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    assert [begin for begin, _ in seconds(docker, "app")] == [0, 10, 30]
    assert [pod["status"]["phase"] for pod in process.pods()] == ["Failed"] * 3
    assert len({pod["metadata"]["name"] for pod in process.pods()}) == 3
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_completions_and_parallelism(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    process = Process(tmp_path, docker, job("test", box("app"), completions=5, parallelism=2))
    assert await process.run() == 0
    assert [begin for begin, _ in seconds(docker, "app")] == [0, 0, 10, 10, 20]


@virtual_time
async def test_two_jobs_and_a_pod(tmp_path: Path):
    docker = Docker()
    docker.program("one", ends(0, after=5))
    docker.program("two", ends(0, after=50))
    docker.program("alone", ends(0, after=20))
    objects = (job("a", box("one")), job("b", box("two")), bare_pod("p", box("alone")))
    process = Process(tmp_path, docker, *objects)
    assert await process.run() == 0
    assert [(raw["kind"], raw["status"].get("phase")) for raw in process.runner.final] == [
        ("Job", None),
        ("Job", None),
        ("Pod", "Succeeded"),
        ("Pod", "Succeeded"),
        ("Pod", "Succeeded"),
    ]
    assert {name: status["succeeded"] for name, status in process.jobs().items()} == {"a": 1, "b": 1}
    assert process.node.clock.monotonic() == 50
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_the_first_failure_gives_the_exit_code(tmp_path: Path):
    docker = Docker()
    docker.program("good", ends(0))
    docker.program("bad", ends(7, after=5))
    docker.program("worse", ends(9))
    pods = [bare_pod(name, box(name)) for name in ("good", "bad", "worse")]
    assert await Process(tmp_path, docker, *pods).run() == 7


@virtual_time
async def test_objects_are_complete(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0))
    process = Process(tmp_path, docker, job("test", box("app")))
    await process.run()
    final, (pod,) = process.runner.final[0], process.pods()
    assert final["metadata"]["creationTimestamp"] == "2026-01-01T12:00:00Z"
    assert final["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["metadata"]["ownerReferences"][0]["uid"] == final["metadata"]["uid"]
    assert "deletionTimestamp" not in pod["metadata"]


# --- the end that the user wants ---------------------------------------------------------------------------------


def stubborn(docker: Docker) -> dict[str, Any]:
    """A Job whose containers need some time to end: the app three seconds, the marked sidecar for ever."""
    docker.program("app", on_term(0, after=3))
    docker.program("sidecar", ignores_term())
    return job("test", box("app"), box("sidecar", **MARKED))


@virtual_time
async def test_an_interrupt_stops_in_order(tmp_path: Path):
    docker = Docker()
    process = Process(tmp_path, docker, stubborn(docker), bare_pod("p", box("alone")))
    async with running(process) as task:
        await process.node_is_up()
        await process.node.clock.sleep(10)
        process.runner.interrupt(2)
        await task
    assert process.runner.interrupted == 2
    assert (seconds(docker, "app"), seconds(docker, "alone")) == ([(0, 13)], [(0, 10)])
    assert seconds(docker, "sidecar") == [(0, 40)]
    assert process.jobs()["test"].get("conditions", []) == []
    assert len(process.pods()) == 2  # no pod takes the place of one that was ended
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_a_second_interrupt_kills(tmp_path: Path):
    docker = Docker()
    process = Process(tmp_path, docker, stubborn(docker), bare_pod("p", box("app")))
    async with running(process) as task:
        await process.node_is_up()
        await process.node.clock.sleep(10)
        process.runner.interrupt(2)
        await process.node.clock.sleep(1)
        process.runner.stop(at_once=True)
        await task
        assert process.node.clock.monotonic() == 11
    assert seconds(docker, "app") == [(0, 11), (0, 11)]
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_an_interrupt_while_nothing_can_be_pulled(tmp_path: Path):
    docker = Docker()
    process = Process(tmp_path, docker, job("test", box("app", image="nowhere/image:1")))
    async with running(process) as task:
        await process.node_is_up()
        process.node.engine.pull_errors["nowhere/image:1"] = "no such host"
        await process.node.clock.sleep(15)
        process.runner.interrupt(2)
        await task
        assert process.node.clock.monotonic() == 15
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_an_interrupt_while_a_job_backs_off(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(1))
    process = Process(tmp_path, docker, job("test", box("app"), backoffLimit=5))
    async with running(process) as task:
        await process.node_is_up()
        await process.node.clock.sleep(15)
        process.runner.interrupt(2)
        await task
        assert process.node.clock.monotonic() == 15
    assert len(process.pods()) == 2


# --- Jobs that end in other ways ---------------------------------------------------------------------------------


@virtual_time
async def test_a_finished_job_is_removed_when_its_time_is_over(tmp_path: Path):
    docker = Docker()
    docker.program("short", ends(0, after=5))
    docker.program("long", ends(0, after=60))
    process = Process(tmp_path, docker, job("a", box("short"), ttlSecondsAfterFinished=10), job("b", box("long")))
    async with running(process) as task:
        await process.node_is_up()
        await process.node.clock.sleep(14)
        assert len(docker.containers) == 3  # the dead app, and the other pod with its sandbox
        await process.node.clock.sleep(2)
        assert [c.name for c in docker.containers if not c.is_sandbox] == ["long"]
        assert await task == 0
    assert {name: status["succeeded"] for name, status in process.jobs().items()} == {"a": 1, "b": 1}
    assert len(process.pods()) == 2


@virtual_time
async def test_a_suspended_job_ends_the_run_at_once(tmp_path: Path):
    docker = Docker()
    process = Process(tmp_path, docker, job("test", box("app"), suspend=True))
    await process.run()
    assert process.runner.blocked() == ["Job default/test is suspended (spec.suspend is true)"]
    assert docker.calls("create") == []
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_a_suspended_job_does_not_hold_up_another(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    process = Process(tmp_path, docker, job("a", box("app"), suspend=True), job("b", box("app")))
    await process.run()
    assert process.jobs()["b"]["succeeded"] == 1
    assert len(process.runner.blocked()) == 1


@virtual_time
async def test_a_jobs_deadline_ends_its_pods(tmp_path: Path):
    docker = Docker()
    docker.program("app", on_term(0, after=3))
    process = Process(tmp_path, docker, job("test", box("app"), activeDeadlineSeconds=20))
    assert await process.run() == 1
    assert seconds(docker, "app") == [(0, 23)]
    assert process.jobs()["test"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_a_pod_that_always_runs_goes_on_until_it_is_interrupted(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    process = Process(tmp_path, docker, bare_pod("p", box("app"), restartPolicy="Always"))
    async with running(process) as task:
        await process.node_is_up()
        await process.node.clock.sleep(65)
        assert not task.done()
        process.runner.interrupt(15)
        await task
    assert len(docker.ever("app")) == 4  # at once, then after 10, 20, 40 s


# --- what is kept ------------------------------------------------------------------------------------------------


@virtual_time
async def test_dead_containers_are_kept_for_inspection(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    process = Process(tmp_path, docker, job("test", box("app")))
    assert await process.run(keep=True) == 0
    assert [(c.name, c.running) for c in docker.containers] == [("app", False)]
    again = Process(tmp_path, docker, job("test", box("app")))
    assert await again.run() == 0
    assert again.directory.run_id != process.directory.run_id
    assert len(docker.ever("app")) == 2


@virtual_time
async def test_an_interrupted_run_keeps_nothing(tmp_path: Path):
    docker = Docker()
    process = Process(tmp_path, docker, job("test", box("app")))
    async with running(process, keep=True) as task:
        await process.node_is_up()
        await process.node.clock.sleep(5)
        process.runner.interrupt(2)
        await task
    assert nothing_is_left(tmp_path, docker)


@virtual_time
async def test_ten_runs_at_once(tmp_path: Path):
    docker = Docker()
    docker.program("app", ends(0, after=10))
    processes = [Process(tmp_path, docker, job("test", box("app"))) for _ in range(10)]
    assert await asyncio.gather(*(process.run() for process in processes)) == [0] * 10
    assert len({process.directory.run_id for process in processes}) == 10
    assert [c.runs for c in docker.ever("app")] == [1] * 10
    assert nothing_is_left(tmp_path, docker)
