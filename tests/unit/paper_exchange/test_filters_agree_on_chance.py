"""A hundred thousand random orders: what our pre-check lets pass the exchange takes, and both refuse for one reason.

`pytest tests/unit/paper_exchange/test_filters_agree_on_chance.py -m "" -rP` prints the figures.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Final

import pytest

from libs.trading.instruments import Filter
from tests.unit.paper_exchange.filter_checkers import Exchange, PreCheck
from tests.unit.paper_exchange.filter_tables import limit, oco, stop
from tests.unit.paper_exchange.orders_of_chance import OrdersOfChance
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, a_recording

ORDERS: Final = 100_000
SEEDS: Final = range(5)
SECONDS: Final = 100
HELD: Final = Decimal(20_000)

LIMITS: Final[tuple[Mapping[str, int | None], ...]] = (
    {},
    {"position_max_units": 20_050 * 10**8},
    {"price_multiplier_up": 2, "price_divisor_down": 2, "stops_max": 100},
    {"notional_min_units": 100 * 10**8, "notional_max_units": 100_000 * 10**8, "lots_max_units": 10 * 10**8},
    {"market_lots_max": 100_000, "lists_max": 3, "stops_max": 100},
)
"""As listed, and what exchanges change from one day to the next."""

STANDING: Final = {
    "empty": (),
    "almost full": (limit(price="25000"),) * 198,
    "full": (limit(price="25000"),) * 200,
    "buying": (limit(price="25000", quantity="10"),) * 3,
    "one stop left": (stop("30000"),) * 4,
    "no stop left": (stop("30000"),) * 5,
    "one list left": (oco(),) * 2,
    "no list left": (oco(),) * 3,
}
"""What stands at the exchange, account by account."""


def a_moving_market(seed: int):
    """Return quotes that wander, and a trade at the bid with each."""
    chance, bid = Random(seed), PRICE
    bids: list[tuple[int, int]] = []
    for at_ms in range(0, 100_000, 500):
        bid += chance.randint(-200, 200)
        bids.append((at_ms, bid))
    trades = [(at_ms + 1, bid, 1_000) for at_ms, bid in bids]
    return a_recording(bids, trades, lots=100_000_000)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", SEEDS)
def test_the_pre_check_and_the_exchange_agree_on_a_hundred_thousand_orders(seed, tmp_path):
    exchange = Exchange(tmp_path, recording=a_moving_market(seed), accounts=tuple(STANDING), held=HELD)
    for account, orders in STANDING.items():
        for order in orders:
            assert exchange.refusal(order, account, place=True) is None
    beside = {account: exchange.beside(account) for account in STANDING}
    chance, counts, refusals = OrdersOfChance(seed), Counter[str](), Counter[str]()

    for second in range(SECONDS):
        exchange.limit(LIMITS[second % len(LIMITS)])
        exchange.wait_a_second()
        ours, reference_price, last_price = PreCheck(exchange.info()), exchange.average_price, exchange.last_price
        for _ in range(ORDERS // len(SEEDS) // SECONDS):
            account = chance.one_of(tuple(STANDING))
            order = chance.order(
                ours.instrument, beside=beside[account], reference_price=reference_price, last_price=last_price
            )
            expected = ours.refused(order, beside[account], reference_price)
            found = exchange.refusal(order, account)
            assert expected or found is None, f"{account}: {order} was let pass, and refused: {found}"
            assert found is None or found in expected, f"{account}: {order}: {found} is none of {expected}"
            counts["refused by both" if found else "refused by us alone" if expected else "accepted by both"] += 1
            refusals[found or ""] += 1

    del refusals[""]
    print(f"{counts.total()} orders: {dict(counts)}; by the exchange's filters: {dict(refusals)}")  # noqa: T201 - figures
    assert counts["refused by us alone"] <= counts["refused by both"] / 1_000
    assert min(counts["accepted by both"], counts["refused by both"]) > counts.total() / 4
    assert set(refusals) == {each.value for each in Filter}
    assert min(refusals.values()) >= 20
