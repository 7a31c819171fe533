"""What a pod spec gives to its containers: environment, volumes, memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import ALWAYS, IMAGE, UNTIL_TERM, pod, shell

pytestmark = pytest.mark.docker

CONFIG: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}}


def logged(run: Run, container: str) -> list[str]:
    """The output of a container, as ``--logs`` shows it."""
    found = []
    for line in run.err.all():
        source, bar, text = line.partition(" | ")
        if bar and source.strip().endswith(f"/{container}"):
            found.append(text)
    return found


def run_with_logs(command: Command, *objects: dict[str, Any]) -> Run:
    run = command.run("--logs", "-o", "json", command.file(*objects))
    assert run.finish() == 0, str(run.err)
    return run


def test_environment(command: Command) -> None:
    env = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "BUILT", "value": "$(PLAIN) and $(KEYED), not $$(PLAIN) or $(NOTHING)"},
        {"name": "KEYED", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "password"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LATER", "value": "$(KEYED) $(POD)"},
    ]
    app = {
        "name": "app",
        "image": IMAGE,
        "command": ["sh", "-c", 'echo "$0"; env'],
        "args": ["$(PLAIN) $(HIDDEN)"],
        "env": env,
        "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "ALL_"}, {"secretRef": {"name": "keys"}}],
    }
    manifest = pod("environment", app)
    manifest["metadata"]["labels"] = {"app": "shop"}
    secret = SECRET | {"data": {"password": "c2VzYW1l"}, "stringData": {"user": "alice"}}
    run = run_with_logs(command, CONFIG | {"data": {"colour": "green"}}, secret, manifest)
    lines = logged(run, "app")
    assert lines[0] == "plain sesame"
    seen = dict(line.split("=", 1) for line in lines[1:])
    expected = {
        "PLAIN": "plain",
        "BUILT": "plain and $(KEYED), not $(PLAIN) or $(NOTHING)",
        "KEYED": "green",
        "HIDDEN": "sesame",
        "POD": "environment",
        "LABEL": "shop",
        "ADDRESS": run.pod["status"]["podIP"],
        "LATER": "green environment",
        "ALL_colour": "green",
        "password": "sesame",
        "user": "alice",
    }
    assert {name: seen.get(name) for name in expected} == expected
    assert "ABSENT" not in seen
    assert "sesame" not in str(run.out)  # what was read from the Secret is nowhere in the pod


def test_volumes(command: Command, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir(mode=0o777)
    (host / "given").write_text("from the host\n")
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("shared", "memory", "config", "secret", "host")]
    volumes = [
        {"name": "shared", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "config", "configMap": {"name": "settings", "items": [{"key": "colour", "path": "deep/colour"}]}},
        {"name": "secret", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "host", "hostPath": {"path": str(host), "type": "Directory"}},
    ]
    writes = "echo shared >/shared/file; echo memory >/memory/file; echo written >/host/taken"
    reads = (
        "cat /shared/file /memory/file /config/deep/colour /secret/password /host/given; "
        "stat -c %a /secret/..data/password; grep ' /memory ' /proc/mounts | cut -d' ' -f3; "
        "echo x 2>/dev/null >/config/new || echo refused"
    )
    run = run_with_logs(
        command,
        CONFIG | {"data": {"colour": "green\n"}},
        SECRET | {"stringData": {"password": "sesame\n"}},
        pod(
            "volumes",
            shell("app", reads, volumeMounts=mounts),
            initContainers=[shell("init", writes, volumeMounts=mounts)],
            volumes=volumes,
        ),
    )
    expected = ["shared", "memory", "green", "sesame", "from the host", "400", "tmpfs", "refused"]
    assert logged(run, "app") == expected
    assert (host / "taken").read_text() == "written\n"
    assert (host / "given").exists()


def test_containers_of_a_pod_share_its_network(command: Command) -> None:
    serve = f"while true; do echo hello from $HOSTNAME | nc -l -p 8080; done & {UNTIL_TERM}"
    probe = {"exec": {"command": ["sh", "-c", "netstat -ltn | grep -q :8080"]}, "periodSeconds": 1}
    sidecar = shell("sidecar", serve, startupProbe=probe) | ALWAYS
    run = run_with_logs(command, pod("network", shell("app", "nc 127.0.0.1 8080"), initContainers=[sidecar]))
    assert logged(run, "app") == ["hello from network"]


def test_an_app_that_takes_too_much_memory_is_killed(command: Command) -> None:
    hog = {"name": "app", "image": IMAGE, "command": ["tail", "/dev/zero"]}
    sidecar = shell("sidecar", UNTIL_TERM)
    run = command.run_json(
        pod("hog", hog | {"resources": {"limits": {"memory": "16Mi"}}}, initContainers=[sidecar | ALWAYS])
    )
    assert run.finish() == 137
    app = run.one("app")
    assert app.code == 137
    assert app.times("oom") != []
    assert app.signals == []
    ended = run.status("app")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert run.pod["status"]["phase"] == "Failed"
    assert run.status("sidecar")["state"]["terminated"]["exitCode"] == 0
