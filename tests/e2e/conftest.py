"""Stacks of the end-to-end tests: each in a directory of its own, gone when its test is over."""

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.support.stack import CommandFailed, StackUnderTest, directory_of_stacks


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A suite that a shell started in the background ignores SIGINT, and so would every command that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def new_stack() -> Iterator[Callable[[], StackUnderTest]]:
    """Return a maker of stacks that have not been started."""
    with directory_of_stacks() as directory:
        stacks: list[StackUnderTest] = []

        def make() -> StackUnderTest:
            stacks.append(StackUnderTest(directory / f"stack{len(stacks)}"))
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
