from __future__ import annotations

import json
from typing import Any

import pytest

from vkprovider.wire.outcome import Outcome


@pytest.mark.parametrize(
    ("outcome", "status", "text"),
    [
        (Outcome(), {"status": "Success"}, ""),
        (
            Outcome(3),
            {
                "status": "Failure",
                "message": "command terminated with non-zero exit code: command terminated with exit code 3",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
            },
            "command terminated with non-zero exit code: command terminated with exit code 3",
        ),
        (
            Outcome(None, "error attaching to container: gone"),
            {
                "status": "Failure",
                "message": "Internal error occurred: error attaching to container: gone",
                "reason": "InternalError",
                "details": {"causes": [{"message": "error attaching to container: gone"}]},
                "code": 500,
            },
            "Internal error occurred: error attaching to container: gone",
        ),
    ],
)
def test_how_a_command_ended(outcome: Outcome, status: dict[str, Any], text: str):
    assert json.loads(outcome.as_status()) == {"metadata": {}} | status
    assert outcome.as_text() == text.encode()
