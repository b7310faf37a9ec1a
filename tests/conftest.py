"""Properties draw the same examples each time; `make long-random` draws others and prints the seed.

What a random run finds is kept as an `@example` beside the property, so that every run has it from
then on. Properties are not timed: machines are shared, and a slow moment says nothing about the
code.
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# a shell has its background jobs ignore Ctrl-C, and what they start would do so too
signal.signal(signal.SIGINT, signal.default_int_handler)
pytest.register_assert_rewrite("worker.testing.commit_log_contract", "worker.testing.sink_contract")
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "random", settings.get_profile("repeatable"), derandomize=False, max_examples=300
)
settings.load_profile("repeatable")
