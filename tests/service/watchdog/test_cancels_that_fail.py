"""An entry whose cancel was not answered is cancelled again, and does not keep the others open."""

from collections.abc import Sequence

from libs.common.errors import RetryableError
from services.watchdog.cancelling import EntryCanceller
from services.watchdog.exchange import OpenOrder
from tests.support.virtual_time import VirtualClock, run_in_virtual_time


class FakeAccount:
    """Answers everything but the first cancel."""

    def __init__(self) -> None:
        self.orders = [OpenOrder("BTCUSDT", number, f"ctE-test00-{number}") for number in (1, 2)]
        self.tried: list[int] = []

    async def time_ms(self) -> int:
        return int(VirtualClock().monotonic_s() * 1_000)

    async def open_orders(self, at_ms: int) -> Sequence[OpenOrder]:
        assert at_ms >= 0
        return list(self.orders)

    async def cancel(self, order: OpenOrder, at_ms: int) -> None:
        assert at_ms >= 0
        self.tried.append(order.order_id)
        if len(self.tried) == 1:
            raise RetryableError("no answer")
        self.orders.remove(order)


def test_a_cancel_that_is_not_answered_is_repeated_after_the_others():
    account = FakeAccount()
    canceller = EntryCanceller("main", account, installation="test00", recv_window_ms=1_000)

    assert run_in_virtual_time(canceller.run()) == 2
    assert account.tried == [1, 2, 1]
