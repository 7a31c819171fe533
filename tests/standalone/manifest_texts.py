"""Manifests as users write them, and where in them something is."""

from __future__ import annotations

from collections.abc import Callable

from vkprovider.standalone.manifests import Manifests

Load = Callable[..., Manifests]
Lines = Callable[..., list[str]]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: app, image: "busybox:1.28"}]}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: test}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: app
        image: busybox:1.28
"""
CLASS = """
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: gpu}
handler: nvidia
overhead: {podFixed: {cpu: 100m}}
scheduling: {nodeSelector: {gpu: "yes"}}
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hunter2}
"""


def documents(*texts: str) -> str:
    return "---".join(texts)


def in_container(more: str) -> str:
    """The Job with more lines in its container."""
    return JOB + "".join(f"        {line}\n" for line in more.splitlines())


AT = "a.yaml: document 1 (Job test): spec.template.spec.containers[0]"
HERE = "a.yaml: document 1 (Job test): "
TAKEN = (
    "Pod, Job, Deployment, ConfigMap, Secret, RuntimeClass, ClusterTrustBundle, SidecarSet, SidecarSetResourceBinding "
    "and List"
)
