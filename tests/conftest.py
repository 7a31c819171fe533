"""Hypothesis profiles: ``dev`` is quick, ``ci`` is thorough, ``nightly`` takes its time.

Where CI=true the examples are the same at each run: what fails there has failed for the change, not by luck. Everywhere
else they differ, and what they find is kept in .hypothesis/.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for name, examples in (("dev", 50), ("ci", 500), ("nightly", 5000)):
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        derandomize=os.environ.get("CI") == "true",
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
