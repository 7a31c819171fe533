"""What the final status of a pod says of its containers, on a real engine."""

from __future__ import annotations

from typing import Any

import pytest

from integration.docker.command import Command
from integration.docker.pods import IMAGE, UNTIL_TERM, pod, shell

pytestmark = pytest.mark.docker

FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}


def statuses(command: Command, code: int, *containers: dict[str, Any], **spec: Any) -> dict[str, dict[str, Any]]:
    """Run a pod to its end with this exit code; its container statuses by name."""
    run = command.run_json(pod("statuses", *containers, **spec))
    assert run.finish() == code, str(run.err)
    (final,) = run.objects
    groups = ("containerStatuses", "initContainerStatuses")
    return {one["name"]: one for group in groups for one in final["status"].get(group, [])}


def ended(status: dict[str, Any]) -> tuple[int, str, str]:
    terminated = status["state"]["terminated"]
    return terminated["exitCode"], terminated["reason"], terminated.get("message", "")


def test_last_words(command: Command) -> None:
    found = statuses(
        command,
        1,
        shell("file", "echo from the file >/dev/termination-log; echo output; exit 1", **FALLBACK),
        shell("log", "echo one; echo two >&2; exit 2", **FALLBACK),
        shell("well", "echo output", **FALLBACK),
        shell("quiet", "echo output; exit 3"),
        shell("long", "head -c 9000 /dev/zero | tr '\\0' x >/dev/termination-log"),
        shell("elsewhere", "echo here >/tmp/words", terminationMessagePath="/tmp/words"),
        shell("unstartable", "", command=["/no/such/program"]),
    )
    assert ended(found["file"]) == (1, "Error", "from the file\n")
    assert sorted(ended(found["log"])[2].split()) == ["one", "two"]
    assert ended(found["well"]) == (0, "Completed", "")
    assert ended(found["quiet"]) == (3, "Error", "")
    assert ended(found["long"]) == (0, "Completed", "x" * (12 * 1024 // 7))
    assert ended(found["elsewhere"]) == (0, "Completed", "here\n")
    code, reason, message = ended(found["unstartable"])
    assert (code, reason) == (128, "StartError")
    assert "/no/such/program" in message


def test_who_with_what_and_where(command: Command) -> None:
    resources = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}}
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/r", "readOnly": True}]
    found = statuses(
        command,
        0,
        shell("app", "sleep 1", resources=resources, volumeMounts=mounts),
        shell("root", "sleep 1", securityContext={"runAsUser": 0, "runAsGroup": 0}),
        initContainers=[shell("side", UNTIL_TERM, restartPolicy="Always")],
        volumes=[{"name": "v", "emptyDir": {}}],
        securityContext={"runAsUser": 1000, "runAsGroup": 2000, "supplementalGroups": [3000]},
    )
    app = found["app"]
    assert app["user"]["linux"]["uid"] == 1000
    assert app["user"]["linux"]["gid"] == 2000
    assert set(app["user"]["linux"]["supplementalGroups"]) >= {3000}
    assert found["side"]["user"]["linux"]["uid"] == 1000
    assert found["root"]["user"]["linux"]["uid"] == 0
    assert (app["resources"], app["allocatedResources"]) == (resources, resources["requests"])
    assert app["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": "v", "mountPath": "/r", "readOnly": True, "recursiveReadOnly": "Disabled"},
    ]
    assert app["image"] == IMAGE
    assert app["imageID"].startswith("docker://sha256:")
    assert app["containerID"].startswith("docker://")
