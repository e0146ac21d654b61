"""Stacks of a test's own, gone with it; the folder `standing` shares one."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.stack import StackUnderTest, directory_of_stacks, stop_if_running

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
