"""What users do to containers behind vkprovider's back: docker kill, docker rm -f, docker pause."""

from __future__ import annotations

from pathlib import Path

import pytest

from integration.docker.own_node import own_node
from integration.docker.pods import ALWAYS, MARK, UNTIL_TERM, pod, shell
from integration.docker.records import Records

pytestmark = pytest.mark.docker

QUICK = {"periodSeconds": 1, "failureThreshold": 1}


async def test_a_killed_container_is_restarted_at_once(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("killed", shell("app", UNTIL_TERM), shell("other", UNTIL_TERM), restartPolicy="OnFailure"))
        await node.until_up("app", "other")
        records.client.kill(await node.container("app"))
        status = await node.witness.until_restarted("app")
        assert node.witness.statuses("other")[-1]["restartCount"] == 0
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert status["lastState"]["terminated"]["reason"] == "Error"


async def test_under_never_a_killed_app_fails_its_pod(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("killed", shell("app", UNTIL_TERM)))
        await node.until_up("app")
        records.client.kill(await node.container("app"))
        status = await node.witness.until_phase("Failed")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


async def test_a_removed_container_counts_as_killed(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("removed", shell("app", UNTIL_TERM), shell("other", UNTIL_TERM), restartPolicy="Always"))
        await node.until_up("app", "other")
        for count in (1, 2):
            removed = await node.container("app")
            records.client.remove_container(removed, force=True)
            status = await node.witness.until_restarted("app", count)
            ended = status["lastState"]["terminated"]
            assert (ended["exitCode"], ended["containerID"]) == (137, f"docker://{removed}")
        assert node.witness.statuses("other")[-1]["restartCount"] == 0


@pytest.mark.parametrize("form", ["native", "marked"])
async def test_a_removed_sidecar_runs_again_under_never(records: Records, tmp_path: Path, form: str) -> None:
    app, sidecar = shell("app", UNTIL_TERM), shell("sidecar", UNTIL_TERM)
    native = form == "native"
    apps, inits = ([app], [sidecar | ALWAYS]) if native else ([app, sidecar | {"env": MARK}], [])
    async with own_node(records, tmp_path) as node:
        node.run(pod("removed", *apps, initContainers=inits))
        await node.until_up("app", "sidecar")
        records.client.remove_container(await node.container("sidecar"), force=True)
        await node.witness.until_restarted("sidecar")
        assert node.witness.statuses("app")[-1]["restartCount"] == 0


async def test_under_never_a_removed_app_fails_its_pod(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("removed", shell("app", UNTIL_TERM)))
        await node.until_up("app")
        records.client.remove_container(await node.container("app"), force=True)
        status = await node.witness.until_phase("Failed")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


async def test_under_never_a_removed_app_runs_again_while_another_does(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("removed", shell("app", UNTIL_TERM), shell("other", UNTIL_TERM)))
        await node.until_up("app", "other")
        records.client.remove_container(await node.container("app"), force=True)
        status = await node.witness.until_restarted("app")
        assert all("terminated" not in s["state"] for s in node.witness.statuses("app"))
    assert status["lastState"]["terminated"]["exitCode"] == 137


async def test_a_paused_container_that_does_not_answer_is_restarted(records: Records, tmp_path: Path) -> None:
    """The kernel still accepts connections for it, so only a probe that wants an answer notices."""
    web = f"mkdir /www; touch /www/x; httpd -p 80 -h /www; {UNTIL_TERM}"
    probe = {"httpGet": {"port": 80, "path": "/x"}} | QUICK | {"failureThreshold": 3}
    async with own_node(records, tmp_path) as node:
        node.run(pod("paused", shell("app", web, livenessProbe=probe), restartPolicy="Always"))
        await node.until_up("app")
        records.client.pause(await node.container("app"))
        status = await node.witness.until_restarted("app")
        assert await node.witness.until_event("app", "Unhealthy", "context deadline exceeded")
    assert status["lastState"]["terminated"]["exitCode"] == 0  # by TERM, which Docker resumes it for


async def test_a_command_cannot_be_run_in_a_paused_container_which_says_nothing_of_its_health(
    records: Records, tmp_path: Path
) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}  # the one that pausing interrupts may fail
    async with own_node(records, tmp_path) as node:
        node.run(pod("paused", shell("app", UNTIL_TERM, livenessProbe=probe), restartPolicy="Always"))
        await node.until_up("app")
        paused = await node.container("app")
        records.client.pause(paused)
        event = await node.witness.until_event("app", "Unhealthy", "errored and resulted in unknown state")
        assert "is paused" in event.message
        records.client.unpause(paused)
        assert node.witness.statuses("app")[-1]["restartCount"] == 0


async def test_a_pod_with_a_paused_container_ends_when_told_to(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("paused", shell("app", UNTIL_TERM), restartPolicy="Always"))
        await node.until_up("app")
        records.client.pause(await node.container("app"))
        node.delete(grace=30)
        await node.until_gone(10)
    assert node.witness.published[-1]["phase"] == "Succeeded"


async def test_a_paused_sandbox_holds_nothing_up(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("paused", shell("app", UNTIL_TERM), restartPolicy="Always"))
        await node.until_up("app")
        records.client.pause(await node.sandbox())
        records.client.kill(await node.container("app"))
        await node.witness.until_restarted("app")
        node.delete(grace=30)
        await node.until_gone(10)
