"""Stacks of the end-to-end tests: each in a directory of its own, gone when its test is over."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.stack import CommandFailed, StackUnderTest, directory_of_stacks


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
