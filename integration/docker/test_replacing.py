"""A running pod whose image is changed: one container is replaced, and the pod stays what it was meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from integration.docker.own_node import own_node
from integration.docker.pods import ALWAYS, IMAGE, UNTIL_TERM, pod, shell
from integration.docker.records import Records

pytestmark = pytest.mark.docker

OTHER = IMAGE.replace("busybox", "busybox-again")
HOOKED = {"lifecycle": {"postStart": {"exec": {"command": ["sleep", "1"]}}}}
READY = {"readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1}}


@pytest.fixture(scope="module")
def other(client: docker.APIClient, busybox: str) -> Iterator[str]:
    """The same image under another name."""
    repository, _, tag = OTHER.rpartition(":")
    client.tag(busybox, repository, tag)
    yield OTHER
    client.remove_image(OTHER)


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
async def test_another_image_replaces_one_container_under_every_policy(
    records: Records, tmp_path: Path, other: str, policy: str
) -> None:
    app = shell("app", UNTIL_TERM, imagePullPolicy="Never", **HOOKED, **READY)
    async with own_node(records, tmp_path) as node:
        witness = node.witness
        node.run(pod("changed", app, shell("other", UNTIL_TERM), restartPolicy=policy))
        await node.until_up("app", "other")
        begun = len(witness.published)
        node.change_image("app", other)
        status = await witness.until_restarted("app")
        killing = await witness.until_event("app", "Killing")
        seen = [(s["restartCount"], s["image"], *s["state"]) for s in witness.statuses("app")[begun:]]
        before = [s for s in witness.published[begun:] if s["containerStatuses"][0]["restartCount"] == 0]
        assert witness.statuses("other")[-1]["restartCount"] == 0
    assert killing.message == "Container app definition changed, will be restarted"
    assert set(seen) == {(0, IMAGE, "running"), (1, other, "running")} or set(seen) == {(1, other, "running")}
    assert all(
        c["status"] == "True" for s in before for c in s["conditions"] if c["type"] in ("Ready", "ContainersReady")
    )
    assert {s["phase"] for s in witness.published[begun:]} == {"Running"}
    assert status["lastState"]["terminated"]["exitCode"] == 0
    assert status["image"] == other


async def test_another_image_replaces_a_native_sidecar_alone(records: Records, tmp_path: Path, other: str) -> None:
    sidecar = shell("sidecar", UNTIL_TERM, imagePullPolicy="Never") | ALWAYS
    async with own_node(records, tmp_path) as node:
        node.run(pod("changed", shell("app", UNTIL_TERM), initContainers=[sidecar]))
        await node.until_up("app", "sidecar")
        node.change_image("sidecar", other)
        await node.witness.until_restarted("sidecar")
        killing = await node.witness.until_event("sidecar", "Killing")
        assert node.witness.statuses("app")[-1]["restartCount"] == 0
    assert killing.message == "Init container sidecar definition changed"


async def test_an_image_that_cannot_be_had_costs_no_life_and_the_next_one_is_tried_at_once(
    records: Records, tmp_path: Path, other: str
) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("changed", shell("app", UNTIL_TERM, imagePullPolicy="Never")))
        await node.until_up("app")
        node.change_image("app", "127.0.0.1:1/never/there:1")
        await node.witness.until_event("app", "Failed", "Error: ErrImageNeverPull")
        assert node.witness.messages("Killing") == []
        node.change_image("app", other)
        await node.witness.until_status("app", "runs", lambda s: "running" in s["state"] and s["restartCount"] == 1)
    assert {next(iter(s["state"])) for s in node.witness.statuses("app")} <= {"waiting", "running"}
    assert len([s for s in node.witness.statuses("app") if "waiting" in s["state"] and s["restartCount"]]) == 0


async def test_a_container_with_rules_of_its_own_runs_again_under_never(records: Records, tmp_path: Path) -> None:
    shared = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    script = "echo >>/shared/times; [ $(wc -l </shared/times) = 2 ] && exit 7; exit 42"
    app = shell("app", script, restartPolicy="Never", restartPolicyRules=rules, **shared)
    async with own_node(records, tmp_path) as node:
        node.run(pod("ruled", app, volumes=[{"name": "shared", "emptyDir": {}}]))
        status = await node.witness.until_phase("Failed")
    (shown,) = status["containerStatuses"]
    assert shown["restartCount"] == 1
    assert shown["state"]["terminated"]["exitCode"] == 7
    assert shown["lastState"]["terminated"]["exitCode"] == 42
