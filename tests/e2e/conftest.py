"""Stacks of the end-to-end tests: one of a test's own, gone with it, or the one that the folder `standing` shares."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.stack import StackUnderTest, directory_of_stacks, stop_if_running, until

SHARING: Final = "standing"
"""The folder whose tests share one stack, and so one process."""


class OneStackInOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands out the tests that share a stack together, and every other file by itself."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(nodeid.partition("::")[0])
        return SHARING if SHARING in file.parts else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return OneStackInOneProcess(config, log)


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
            stop_if_running(stack)


@pytest.fixture
def stack(new_stack: Callable[[], StackUnderTest]) -> StackUnderTest:
    return new_stack()


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[StackUnderTest]:
    """Starting a stack costs as much as half a minute of its trading."""
    with directory_of_stacks() as directory:
        stack = StackUnderTest(directory / "shared")
        stack.start()
        try:
            until(lambda: len(stack.ask("fills")["fills"]) > 2, seconds=120, what="three fills")
            yield stack
        finally:
            stop_if_running(stack)


@pytest.fixture(scope="module")
def standing(shared_stack: StackUnderTest) -> StackUnderTest:
    """Return the stack that has bought and sold, ACTIVE at the start of each file."""
    if shared_stack.ask("status")["halts"]:
        shared_stack.trader("resume", "--reason", "the next tests")
    if shared_stack.ask("status")["trading_state"] != "ACTIVE":
        shared_stack.trader("start")
    return shared_stack
