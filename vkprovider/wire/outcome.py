"""How a remote command ended, as the last message of its session (remotecommand/{exec,httpstream}.go)."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

STREAM_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
STATUS_PROTOCOL = STREAM_PROTOCOLS[0]  # the older ones tell failures only, as text
RESIZING_PROTOCOLS = STREAM_PROTOCOLS[:2]
PORT_FORWARD_PROTOCOL = "portforward.k8s.io"


class Outcome(NamedTuple):
    """``exit_code`` is None where the command was not run to its end; then ``error`` says why."""

    exit_code: int | None = 0
    error: str = ""

    @property
    def message(self) -> str:
        if self.exit_code is None:
            return f"Internal error occurred: {self.error}"
        if self.exit_code == 0:
            return ""
        return f"command terminated with non-zero exit code: command terminated with exit code {self.exit_code}"

    def as_text(self) -> bytes:
        """For protocols before version 4: nothing if all went well."""
        return self.message.encode()

    def as_status(self) -> bytes:
        """A metav1.Status."""
        return json.dumps({"metadata": {}} | self._status(), separators=(",", ":")).encode()

    def _status(self) -> dict[str, Any]:
        if self.exit_code == 0:
            return {"status": "Success"}
        failure: dict[str, Any] = {"status": "Failure", "message": self.message}
        if self.exit_code is None:
            causes = [{"message": self.error}]
            return failure | {"reason": "InternalError", "details": {"causes": causes}, "code": 500}
        causes = [{"reason": "ExitCode", "message": str(self.exit_code)}]
        return failure | {"reason": "NonZeroExitCode", "details": {"causes": causes}}
