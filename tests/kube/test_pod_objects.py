"""What is made of a pod that the API says is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vkprovider.kube.pods.objects import over_record
from vkprovider.model.pod import decode_pod

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("grace", "least", "most"), [(0, 1, 1), (30, 30, 30), (2**62, 10**9, 2**31)])
def test_what_still_runs_has_its_grace(grace: int, least: int, most: int) -> None:
    """One that no calendar has room for, and the API server lets pass, is as good as endless."""
    spec = {"containers": [{"name": "app"}], "terminationGracePeriodSeconds": grace}
    pod = decode_pod({"metadata": {"name": "p", "uid": "u"}, "spec": spec, "status": {"phase": "Failed"}})
    ending = over_record(pod, None, NOW).ending
    assert ending is not None
    assert timedelta(seconds=least) <= ending.deadline - NOW <= timedelta(seconds=most)
