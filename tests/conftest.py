"""Fixtures for every test: real stores, started only when a test asks for them.

Properties are searched without a clock: how long an example takes says something of the machine, not of the code.
"""

import gc
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.stores", "tests.support.migrated"]

gc.set_threshold(100_000)

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A suite that a shell started in the background ignores SIGINT, and so would every command that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
