"""The stack that the tests of this folder share."""

from collections.abc import Iterator

import pytest

from tests.support.stack import StackUnderTest, trading_stack


@pytest.fixture(scope="package")
def shared_stack() -> Iterator[StackUnderTest]:
    """Starting a stack costs as much as half a minute of its trading."""
    with trading_stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def standing(shared_stack: StackUnderTest) -> StackUnderTest:
    """Return the stack that has bought and sold, ACTIVE at the start of each file."""
    if shared_stack.ask("status")["halts"]:
        shared_stack.trader("resume", "--reason", "the next tests")
    if shared_stack.ask("status")["trading_state"] != "ACTIVE":
        shared_stack.trader("start")
    return shared_stack
