"""Fixtures for every test: real stores, started only when a test asks for them."""

pytest_plugins = ["tests.support.stores", "tests.support.migrated"]
