"""Stacks of the end-to-end tests: each in a directory of its own, gone when its test is over."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.stack import CommandFailed, StackUnderTest


@pytest.fixture
def new_stack() -> Iterator[Callable[[], StackUnderTest]]:
    """Return a maker of stacks that have not been started."""
    # Not below pytest's own directory, which is closed to the account that Postgres runs as when we are root.
    with tempfile.TemporaryDirectory(prefix="trader-e2e-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        stacks: list[StackUnderTest] = []

        def make() -> StackUnderTest:
            stacks.append(StackUnderTest(Path(name) / f"stack{len(stacks)}"))
            return stacks[-1]

        yield make
        for stack in stacks:
            try:
                stack.stop()
            except CommandFailed:
                continue  # it does not run any more


@pytest.fixture
def stack(new_stack: Callable[[], StackUnderTest]) -> StackUnderTest:
    return new_stack()
