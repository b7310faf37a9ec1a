"""Properties are not timed: machines are shared, and a slow moment says nothing about the code."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("worker.testing.commit_log_contract", "worker.testing.sink_contract")
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
