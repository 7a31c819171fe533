"""Manifests for tests, and the project's own examples."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
EXAMPLE_IMAGE = "registry-cn-hangzhou.ack.aliyuncs.com/ack-demo/busybox:1.28"

# Made here for this session. Its registry refuses connections, so that nothing is ever pulled under this name.
IMAGE = f"127.0.0.1:1/vkprovider-test/busybox:{uuid.uuid4().hex[:12]}"

MARK = [{"name": "__IS_SIDECAR__", "value": "true"}]
ALWAYS = {"restartPolicy": "Always"}

IDLE = "sleep 100000"  # the shell as PID 1 ignores TERM
UNTIL_TERM = "trap 'exit 0' TERM; sleep 100000 & wait"


def on_term(reaction: str) -> str:
    """A script that waits for TERM."""
    return f"trap '{reaction}' TERM; sleep 100000 & wait"


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """A container that runs a script."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script]} | fields


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": list(containers)} | spec,
    }


def job(name: str, *containers: dict[str, Any], pod_spec: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    template = {"spec": pod(name, *containers, **(pod_spec or {}))["spec"]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template} | spec}


def example(file: str) -> dict[str, Any]:
    """One of ``deploy/examples``, with an image that can be had everywhere."""
    text = (EXAMPLES / file).read_text()
    assert EXAMPLE_IMAGE in text
    loaded: dict[str, Any] = yaml.safe_load(text.replace(EXAMPLE_IMAGE, IMAGE))
    return loaded
