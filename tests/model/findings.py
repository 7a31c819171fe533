"""What the validation of a pod finds."""

from __future__ import annotations

from typing import Any

from vkprovider.model import defaults
from vkprovider.model.pod import decode_pod
from vkprovider.model.validation import pod_findings

APP = {"name": "app", "image": "busybox:1.28"}
EXEC = {"exec": {"command": ["true"]}}


def findings(metadata: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    raw = {"metadata": {"name": "p"} | (metadata or {}), "spec": {"containers": [APP]} | spec}
    return [str(finding) for finding in pod_findings(decode_pod(defaults.pod(raw)))]
