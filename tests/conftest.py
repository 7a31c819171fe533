"""Hypothesis profiles: ``dev`` is quick, ``ci`` is what the tests run with, ``nightly`` takes its time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for name, examples in (("dev", 50), ("ci", 500), ("nightly", 5000)):
    settings.register_profile(
        name, max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
