"""Settings of the property tests: the same examples in every run, and no judgement of how long they take."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# To look further: HYPOTHESIS_PROFILE=default pytest ...
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
