"""Pods of an author who means harm, on a real engine: what is not refused is harmless."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import UNTIL_TERM, pod, shell
from tests.plugins.real_parts import missing
from vkprovider.engine.endpoint import find_endpoint
from vkprovider.engine.engine_process import shares_mounts

pytestmark = pytest.mark.docker

BRIEF = {"terminationGracePeriodSeconds": 1}
SHARED: dict[str, Any] = BRIEF | {"volumes": [{"name": "shared", "emptyDir": {}}]}
ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x1b[2Jtext\r\x9b31m\u202e"

# For as long as it runs, a directory that is now itself, now a link to the host's files.
SWAPS = (
    "mkdir /shared/at; touch /shared/at/harmless; while :; do "
    "mv /shared/at /shared/away; ln -s /etc /shared/at; rm -rf /shared/at; mv /shared/away /shared/at; done"
)


def logged(run: Run, container: str) -> list[str]:
    parts = (line.partition(" | ") for line in run.err.all())
    return [text for who, bar, text in parts if bar and who.endswith(f"/{container}")]


def mount(path: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "shared", "mountPath": path, **fields}]


def test_no_race_of_links_shows_the_host(command: Command) -> None:
    """One container swaps a directory and a link to the host's /etc, while another that mounts it is started anew."""
    if os.geteuid() != 0 or not shares_mounts(find_endpoint().socket_path):
        missing("mounting what the engine sees needs root, and an engine on this machine")
    swapper = shell("swapper", SWAPS, volumeMounts=mount("/shared")) | {"restartPolicy": "Always"}
    names = [f"victim-{number}" for number in range(8)]
    victims = [shell(name, "ls /at; cat /at/passwd", volumeMounts=mount("/at", subPath="at")) for name in names]
    manifest = pod("races", *victims, initContainers=[swapper], **SHARED)
    run = command.run("--logs", "-o", "json", command.file(manifest))
    for name in names:
        run.err.until(partial(decided, name), f"{name} was started, or refused")
    run.interrupt()
    run.finish()
    said = {line for name in names for line in logged(run, name)}
    assert {line for line in said if "root:" in line or line == "shadow"} == set()


def decided(name: str, lines: list[str]) -> bool | None:
    words = ("Started", "StartError", "failed to prepare subPath")
    return any(f"container/{name} " in line and any(word in line for word in words) for line in lines) or None


def test_links_out_of_a_volume_are_not_followed(command: Command) -> None:
    plants = (
        "ln -s /etc /shared/absolute; ln -s ../../../../../../../../etc /shared/relative; ln -s absolute /shared/link"
    )
    paths = ("absolute", "relative", "link", "absolute/passwd", "relative/new")
    victims = [
        shell(f"victim-{number}", "ls /at", volumeMounts=mount("/at", subPath=path))
        for number, path in enumerate(paths)
    ]
    manifest = pod("links", *victims, initContainers=[shell("plants", plants, volumeMounts=mount("/shared"))], **SHARED)
    run = command.run_json(manifest)
    for number in range(len(paths)):
        words = f'failed to prepare subPath for volumeMount "shared" of container "victim-{number}"'
        run.err.until_line("CreateContainerConfigError", words)
    run.interrupt()
    run.finish()
    assert {instance.name for instance in run.instances()} == {"plants"}
    assert not Path("/etc/new").exists()


def test_no_file_of_a_volume_is_named_outside_of_it(command: Command) -> None:
    """What reads manifests itself refuses what an API server would, by the names of the fields."""
    item, key = {"key": "k", "path": "a/../../x"}, {"../x": "text"}
    token = {"path": "../token"}
    field = {"path": "/etc/x", "fieldRef": {"fieldPath": "metadata.name"}}
    sources = [{"secret": {"name": "s", "items": [item]}}, {"serviceAccountToken": token}]
    volumes: dict[str, dict[str, Any]] = {
        "spec.volumes[0].configMap.items[0].path": {"configMap": {"name": "c", "items": [item]}},
        "spec.volumes[1].secret.items[0].path": {"secret": {"secretName": "s", "items": [item]}},
        "spec.volumes[2].downwardAPI.items[0].path": {"downwardAPI": {"items": [field]}},
        "spec.volumes[3].projected.sources[0].secret.items[0].path": {"projected": {"sources": sources}},
    }
    named = [{"name": f"v-{place}", **volume} for place, volume in enumerate(volumes.values())]
    objects = [
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": "c"}, field: key}
        for kind, field in (("ConfigMap", "data"), ("Secret", "stringData"))
    ]
    run = command.launch(command.file(*objects, pod("out", shell("app", "true"), volumes=named)))
    assert run.finish() == 125
    refused = [line.split(": ")[2] for line in run.err.all() if ": Invalid value: " in line]
    below = "spec.volumes[3].projected.sources[1].serviceAccountToken.path"
    assert set(refused) == {"data[../x]", "stringData[../x]", *volumes, below}


def test_thousands_of_variables(command: Command) -> None:
    variables = [{"name": f"V{number}", "value": "x" * 40} for number in range(5000)]
    run = command.run(
        "--logs", "-o", "json", command.file(pod("many", shell("app", "env | grep -c ^V", env=variables)))
    )
    assert run.finish() == 0, str(run.err)
    assert logged(run, "app") == ["5000"]


def test_variables_that_grow_without_end_start_nothing(command: Command) -> None:
    grown = [{"name": "V0", "value": "x" * 1000}]
    grown += [{"name": f"V{n}", "value": f"$(V{n - 1})$(V{n - 1})"} for n in range(1, 60)]
    run = command.run_json(pod("grown", shell("app", "env", env=grown), **BRIEF))
    run.err.until_line("app", "CreateContainerConfigError", "grows over 128 KiB")
    run.interrupt()
    run.finish()
    assert run.instances() == []


def test_nothing_a_pod_says_reaches_the_terminal_as_it_is(command: Command) -> None:
    """The display's own line feeds are all that is left of control characters."""
    told = {"name": "TOLD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['told']"}}}
    says = 'printf "%s\\n" "$TOLD"; printf "%s" "$TOLD" >/dev/termination-log; exit 3'
    manifest = pod(
        "says", shell("app", says, env=[told]), shell("typo", UNTIL_TERM) | {"image": f"x{ESCAPES}"}, **BRIEF
    )
    manifest["metadata"]["annotations"] = {"told": ESCAPES}
    run = command.run("--logs", command.file(manifest))
    run.out.until_line("typo", "InvalidImageName")
    run.out.until_line("app", "exit 3")
    run.interrupt()
    run.finish()
    shown = "".join((*run.out.all(), *run.err.all()))
    assert "redtext" in shown
    assert [char for char in shown if not char.isprintable() and char != "\t"] == []
