"""Fixtures for every test: real stores, started only when a test asks for them.

Properties are searched without a clock: how long an example takes says something of the machine, not of the code.
"""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.stores", "tests.support.migrated"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
