"""postStart and preStop in real containers, and what ends while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.docker.own_node import OwnNode, own_node
from integration.docker.pods import IDLE, UNTIL_TERM, on_term, pod, shell
from integration.docker.records import INT, KILL, TERM, Instance, Records, no_sandboxes
from tests.node.servers import closed_port, silent_server

pytestmark = pytest.mark.docker


def hook(when: str, script: str) -> dict[str, Any]:
    return {when: {"exec": {"command": ["sh", "-c", script]}}}


def one(records: Records, node: OwnNode, name: str = "app") -> Instance:
    records.catch_up()
    (instance,) = (i for i in no_sandboxes(records.instances(node.name)) if i.name == name)
    return instance


async def test_post_start_holds_back_what_comes_next(records: Records, tmp_path: Path) -> None:
    first = shell("first", UNTIL_TERM, lifecycle={"postStart": {"sleep": {"seconds": 2}}})
    async with own_node(records, tmp_path) as node:
        node.run(pod("hooked", first, shell("second", UNTIL_TERM)))
        await node.until_up("first", "second")
        seen = [(*s["state"], s["started"], s["ready"]) for s in node.witness.statuses("first")]
    assert one(records, node, "second").started - one(records, node, "first").started >= 2
    assert set(seen) == {("waiting", False, False), ("running", True, True)}


@pytest.mark.parametrize("kind", ["exec", "http", "tcp"])
async def test_a_post_start_that_fails_costs_the_container_its_life(
    records: Records, tmp_path: Path, kind: str
) -> None:
    actions: dict[str, dict[str, Any]] = {
        "exec": {"exec": {"command": ["sh", "-c", "echo no cheese; exit 3"]}},
        "http": {"httpGet": {"port": closed_port()}},
        "tcp": {"tcpSocket": {"port": 80}},
    }
    async with own_node(records, tmp_path) as node:
        app = shell("app", on_term("sleep 1; exit 0"), lifecycle={"postStart": actions[kind]})
        node.run(pod("hooked", app, restartPolicy="Always"))
        failed = await node.witness.until_event("app", "FailedPostStartHook")
        killing = await node.witness.until_event("app", "Killing")
        restarted = await node.witness.until_status("app", "is made again", lambda s: s["restartCount"] == 1)
        await node.witness.until_status(
            "app", "backs off", lambda s: s["state"]["waiting"]["reason"] == "CrashLoopBackOff" and s["restartCount"]
        )
        reasons = [s["state"]["waiting"]["reason"] for s in node.witness.statuses("app")]  # it is never seen running
    assert (failed.type, failed.message) == ("Warning", "PostStartHook failed")
    assert (killing.type, killing.message) == ("Normal", "FailedPostStartHook")
    assert restarted["lastState"]["terminated"]["exitCode"] == 0
    assert "PostStartHookError" in reasons
    assert not any("no cheese" in message for message in node.witness.messages())


# A page that takes a second, by plain HTTP. All that a client says is read: what is left unread is answered by a reset,
# which may overtake the page.
ANSWER = r"""#!/bin/sh
case $(head -c 3) in GET) sleep 1 ;; esac
printf 'HTTP/1.0 200 OK\r\n\r\n'
cat >/dev/null
"""
SERVE = f"""
cat >/answer <<'END'
{ANSWER}END
chmod +x /answer
nc -ll -p 80 -e /answer &
until nc 127.0.0.1 80 </dev/null >/dev/null; do :; done
{IDLE}"""


@pytest.mark.parametrize("kind", ["exec", "http", "https", "sleep"])
async def test_pre_stop_comes_before_the_signal(records: Records, tmp_path: Path, kind: str) -> None:
    """Its second counts for the grace."""
    actions: dict[str, dict[str, Any]] = {
        "exec": {"exec": {"command": ["sleep", "1"]}},
        "http": {"httpGet": {"port": 80, "path": "/slow"}},
        "https": {"httpGet": {"port": 80, "path": "/slow", "scheme": "HTTPS"}},
        "sleep": {"sleep": {"seconds": 1}},
    }
    async with own_node(records, tmp_path) as node:
        app = shell("app", SERVE, lifecycle={"preStop": actions[kind]})
        node.run(pod("hooked", app, restartPolicy="Always", terminationGracePeriodSeconds=4))
        await node.until_up("app")
        node.delete(grace=4)
        await node.until_gone()
    instance = one(records, node)
    assert instance.signal_numbers == [TERM, KILL]
    assert 1.5 < instance.signalled(KILL) - instance.signalled(TERM) < 3.9  # not the whole grace
    assert node.witness.messages("Killing") == ["Killing: Stopping container app"]
    assert len(node.witness.messages("LifecycleHTTPFallback")) == (1 if kind == "https" else 0)


async def test_a_pre_stop_that_never_ends_leaves_two_seconds_after_the_grace(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        app = shell("app", IDLE, lifecycle=hook("preStop", "sleep 1000"))
        node.run(pod("hooked", app, restartPolicy="Always"))
        await node.until_up("app")
        node.delete(grace=2)
        await node.until_gone()
    instance = one(records, node)
    assert instance.signalled(KILL) - instance.signalled(TERM) == pytest.approx(2, abs=1)
    ended = node.witness.statuses("app")[-1]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "Error")
    assert node.witness.messages("FailedPreStopHook") == []


async def test_a_pre_stop_that_fails_is_told_and_the_end_goes_on(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("hooked", shell("app", UNTIL_TERM, lifecycle=hook("preStop", "exit 1")), restartPolicy="Always"))
        await node.until_up("app")
        node.delete(grace=30)
        await node.until_gone(10)
    assert node.witness.messages("FailedPreStopHook") == ["FailedPreStopHook: PreStopHook failed"]
    assert node.witness.published[-1]["phase"] == "Succeeded"


async def test_a_stop_signal_of_its_own(records: Records, tmp_path: Path) -> None:
    script = "trap 'exit 7' INT; trap 'exit 8' TERM; sleep 100000 & wait"
    async with own_node(records, tmp_path) as node:
        node.run(pod("signalled", shell("app", script, lifecycle={"stopSignal": "SIGINT"}), restartPolicy="Always"))
        await node.until_up("app")
        node.delete(grace=30)
        await node.until_gone(10)
    assert one(records, node).signal_numbers == [INT]
    assert node.witness.statuses("app")[-1]["state"]["terminated"]["exitCode"] == 7


# --- a deletion that comes early ---------------------------------------------------------------------------------


async def test_a_deletion_during_post_start(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        app = shell("app", UNTIL_TERM, lifecycle=hook("postStart", "sleep 1000"))
        node.run(pod("early", app, shell("other", UNTIL_TERM), restartPolicy="Always"))
        await node.witness.until_event("app", "Started")
        node.delete(grace=30)
        await node.until_gone(10)
    assert node.witness.published[-1]["phase"] == "Failed"  # the other one never ran
    assert one(records, node).signal_numbers == [TERM]


async def test_a_deletion_during_init(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("early", shell("app", UNTIL_TERM), initContainers=[shell("init", on_term("exit 1"))]))
        await node.witness.until_status("init", "runs", lambda s: "running" in s["state"])
        node.delete(grace=30)
        await node.until_gone(10)
    last = node.witness.published[-1]
    assert last["phase"] == "Failed"
    assert last["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


async def test_a_deletion_during_a_pull(records: Records, tmp_path: Path) -> None:
    with silent_server() as port:
        async with own_node(records, tmp_path) as node:
            app = shell("app", UNTIL_TERM) | {"image": f"127.0.0.1:{port}/never/there:1"}
            node.run(pod("early", app))
            await node.witness.until_event("app", "Pulling")
            node.delete(grace=30)
            await node.until_gone(10)
    assert node.witness.published[-1]["phase"] == "Failed"


async def test_a_deadline_ends_a_pod_that_is_active_for_too_long(records: Records, tmp_path: Path) -> None:
    async with own_node(records, tmp_path) as node:
        node.run(pod("late", shell("app", UNTIL_TERM), restartPolicy="Always", activeDeadlineSeconds=8))
        await node.until_up("app")
        status = await node.witness.until_phase("Failed", 20)
    message = "Pod was active on the node longer than the specified deadline"
    assert (status["reason"], status["message"]) == ("DeadlineExceeded", message)
    assert node.witness.messages("DeadlineExceeded") == [f"DeadlineExceeded: {message}"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
