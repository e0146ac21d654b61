import pytest

from tests.support.clock import FakeClock
from tests.support.executor import Executor
from tests.support.fake_exchange import FakeExchange


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def exchange(clock: FakeClock) -> FakeExchange:
    return FakeExchange(clock)


@pytest.fixture
async def executor(exchange: FakeExchange, clock: FakeClock) -> Executor:
    return await Executor(exchange=exchange, clock=clock).start()
