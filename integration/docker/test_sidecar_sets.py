"""SidecarSets without a cluster: the documentation's example of a Deployment on virtual nodes, and a Job."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from integration.docker.command import Command, Run
from integration.docker.pods import IMAGE, UNTIL_TERM, job, shell
from vkprovider.model.volume import STDLOG

pytestmark = pytest.mark.docker

CONTENT = """filebeat.inputs:
- type: log
  processors:
    - add_kubernetes_metadata:
        host: ${NODE_NAME} # Not effective. Do not modify. Use directly.
output.elasticsearch:
  hosts: ['${ELASTICSEARCH_HOST:elasticsearch}:${ELASTICSEARCH_PORT:9200}']"""
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "filebeat-config", "namespace": "kube-system"},
    "data": {"filebeat.yml": CONTENT},
}
FILEBEAT: dict[str, Any] = {
    "name": "filebeat",
    "image": IMAGE,
    "imagePullPolicy": "IfNotPresent",
    "args": ["/bin/sh", "-c", "cat /etc/filebeat.yml && sleep 36000"],
    "env": [{"name": "ECI_SIDECAR_CONTAINER", "value": "true"}],
    "volumeMounts": [
        {"name": "config", "mountPath": "/etc/filebeat.yml", "readOnly": True, "subPath": "filebeat.yml"},
        {"name": "stdlog", "mountPath": "/var/log/std", "readOnly": True},
    ],
}
SET: dict[str, Any] = {
    "apiVersion": "apps.kruise.io/v1alpha1",
    "kind": "SidecarSet",
    "metadata": {"name": "filebeat-sidecarset"},
    "spec": {
        "selector": {"matchLabels": {"serverless.alibabacloud.com/virtual-node": "true"}},
        "updateStrategy": {"type": "NotUpdate"},
        "containers": [FILEBEAT],
        "volumes": [
            {"name": "config", "configMap": {"name": "kube-system/filebeat-config"}},
            {"name": "stdlog", "csi": {"driver": STDLOG}},
        ],
    },
}
BINDING: dict[str, Any] = {
    "apiVersion": "sidecarset.alibabacloud.com/v1alpha1",
    "kind": "SidecarSetResourceBinding",
    "metadata": {"name": "filebeat-sidecarset-resourcebinding", "namespace": "kube-system", "labels": None},
    "spec": {
        "subjects": [{"kind": "SidecarSet", "name": "filebeat-sidecarset"}],
        "resourceRefs": [{"kind": "ConfigMap", "name": "filebeat-config"}],
    },
}
APP = shell("echo-server", f"echo 'Server is listening on :8080' >&2; {UNTIL_TERM}")
ECHO: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "echo-server", "labels": {"app": "echo-server"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "echo-server"}},
        "template": {
            "metadata": {"labels": {"app": "echo-server", "alibabacloud.com/eci": "true"}},
            "spec": {"containers": [APP], "terminationGracePeriodSeconds": 2},
        },
    },
}


def inside(run: Run, *command: str) -> str:
    """What a command prints in filebeat's container."""
    container = run.until("start", "filebeat").container
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=True).stdout


def test_a_deployment_runs_with_its_sidecar_until_it_is_interrupted(command: Command) -> None:
    objects = {"echo-server": ECHO, "sidecarset": SET, "binding": BINDING, "filebeat-config": CONFIG}
    run = command.run("-o", "json", *(command.file(raw, name=f"{name}.json") for name, raw in objects.items()))
    run.until_sleeping("filebeat", "echo-server")
    assert inside(run, "cat", "/etc/filebeat.yml") == CONTENT
    assert inside(run, "cat", "/var/log/std/echo-server/0.log").endswith(" stderr F Server is listening on :8080\n")
    run.interrupt()
    assert run.finish() == 130
    assert [container["name"] for container in run.pod["spec"]["containers"]] == ["filebeat", "echo-server"]
    assert run.pod["metadata"]["name"].startswith("echo-server-")
    assert run.pod["metadata"]["annotations"]["kruise.io/sidecarset-injected-list"] == "filebeat-sidecarset"
    ends = [event.name for event in run.events if event.action == "die" and event.name in ("filebeat", "echo-server")]
    assert ends == ["echo-server", "filebeat"]


def test_a_jobs_pods_are_injected_and_the_sidecar_does_not_keep_it_from_completing(command: Command) -> None:
    work = job("work", shell("app", "exit 0"), pod_spec={"terminationGracePeriodSeconds": 1})
    run = command.run("-o", "json", command.file(CONFIG, BINDING, work, SET))
    assert run.finish() == 0
    assert [container["name"] for container in run.pod["spec"]["containers"]] == ["filebeat", "app"]
    assert run.job["status"]["succeeded"] == 1


def test_without_the_binding_nothing_begins(command: Command) -> None:
    run = command.launch(command.file(ECHO, SET, CONFIG))
    assert run.process.wait(30) == 125
    assert 'a SidecarSetResourceBinding in namespace "kube-system"' in run.err.until_line("its SidecarSet filebeat-")
