"""Trades into candles: every trade in exactly one, no hole between them, doubt marked."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.market_monitor.domain.candles import GRACE_MS, PERIODS_AT_ONCE_MAX, CandleBuilder, Period


def a_builder(interval_s: int = 1, *, connected_at_ms: int = 0) -> CandleBuilder:
    builder = CandleBuilder(interval_s)
    builder.connect(connected_at_ms)
    return builder


def trade(
    builder: CandleBuilder, at_ms: int, price: str = "100", quantity: str = "1", trade_id: int = 1
) -> list[Period]:
    return builder.on_trade(price=Decimal(price), quantity=Decimal(quantity), trade_id=trade_id, traded_at_ms=at_ms)


def test_a_candle_closes_with_the_first_trade_of_the_next_period() -> None:
    builder = a_builder()
    trade(builder, 5_000, "100", "1", 1)
    trade(builder, 5_400, "103", "2", 2)
    trade(builder, 5_999, "99", "3", 3)

    (closed,) = trade(builder, 6_000, "101", "4", 4)

    assert closed == Period(
        open_at_ms=5_000,
        open=Decimal(100),
        high=Decimal(103),
        low=Decimal(99),
        close=Decimal(99),
        volume=Decimal(6),
        trades=3,
        trade_id_last=3,
        partial=False,
    )


def test_a_period_that_opened_before_the_connection_is_partial() -> None:
    builder = a_builder(connected_at_ms=6_001)
    builder.seed(Decimal(100), 5_000)

    closed = trade(builder, 6_500) + trade(builder, 9_000)  # no time was told in between

    assert [(period.open_at_ms, period.partial) for period in closed] == [
        (5_000, True),
        (6_000, True),
        (7_000, False),
        (8_000, False),
    ]


def test_a_period_that_opens_with_the_connection_is_complete() -> None:
    builder = a_builder(connected_at_ms=5_000)
    trade(builder, 5_000)

    assert [period.partial for period in trade(builder, 6_000)] == [False]


def test_a_candle_closes_exactly_at_the_end_of_its_grace() -> None:
    builder = a_builder()
    trade(builder, 5_000)

    assert builder.on_time(6_000 + GRACE_MS - 1) == []
    assert [period.open_at_ms for period in builder.on_time(6_000 + GRACE_MS)] == [5_000]


def test_an_empty_period_is_flat_at_the_last_close() -> None:
    builder = a_builder()
    trade(builder, 5_000, "100")
    trade(builder, 5_100, "102")

    closed = trade(builder, 8_000, "90")

    assert [(period.open_at_ms, period.close, period.volume, period.trades) for period in closed] == [
        (5_000, Decimal(102), Decimal(2), 2),
        (6_000, Decimal(102), Decimal(0), 0),
        (7_000, Decimal(102), Decimal(0), 0),
    ]
    assert closed[1].open == closed[1].high == closed[1].low == Decimal(102)
    assert closed[1].trade_id_last == 0


def test_nothing_is_known_before_the_first_trade() -> None:
    builder = a_builder()

    assert builder.on_time(1_000_000) == []


def test_a_seeded_builder_tells_empty_periods_before_the_first_trade() -> None:
    builder = a_builder()
    builder.seed(Decimal(50), 5_300)

    assert [(period.open_at_ms, period.close) for period in builder.on_time(6_500)] == [(5_000, Decimal(50))]


def test_a_seed_does_not_replace_a_price_from_a_trade() -> None:
    builder = a_builder()
    trade(builder, 5_000, "100")
    builder.seed(Decimal(50), 9_000)

    assert [period.close for period in builder.on_time(6_300)] == [Decimal(100)]


def test_every_period_that_a_disconnection_touches_is_partial() -> None:
    builder = a_builder()
    trade(builder, 5_000)
    builder.disconnect()
    closed = builder.on_time(7_300)
    builder.connect(7_400)
    trade(builder, 7_500)
    closed += builder.on_time(9_300)

    assert [(period.open_at_ms, period.partial) for period in closed] == [
        (5_000, True),
        (6_000, True),
        (7_000, True),
        (8_000, False),
    ]


def test_a_trade_of_a_closed_period_is_late() -> None:
    builder = a_builder()
    trade(builder, 5_000)
    builder.on_time(6_300)

    assert builder.is_late(5_999)
    assert not builder.is_late(6_000)


def test_a_long_silence_leaves_a_hole_rather_than_a_flood() -> None:
    builder = a_builder()
    trade(builder, 0)

    closed = builder.on_time(10_000_000)
    following = builder.on_time(10_002_000)

    assert len(closed) == PERIODS_AT_ONCE_MAX
    assert [period.open_at_ms for period in following] == [9_999_000, 10_000_000]


@given(
    st.lists(
        st.tuples(st.integers(0, 1_500), st.integers(1, 500), st.booleans(), st.integers(0, 400)),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([1, 2, 5]),
)
def test_every_trade_is_in_exactly_one_candle_or_late(steps: list[tuple[int, int, bool, int]], interval_s: int) -> None:
    builder = a_builder(interval_s)
    now_ms, taken, late, closed = 10_000, 0, 0, []
    for number, (step_ms, price, tick, delay_ms) in enumerate(steps):
        now_ms += step_ms
        if tick:
            closed += builder.on_time(now_ms)
        traded_at_ms = now_ms - delay_ms
        if builder.is_late(traded_at_ms):
            late += 1
            continue
        closed += trade(builder, traded_at_ms, str(price), "1", number)
        taken += 1
    closed += builder.on_time(now_ms + 100_000)

    assert sum(period.trades for period in closed) == taken == len(steps) - late
    assert sum((period.volume for period in closed), Decimal(0)) == taken
    opens = [period.open_at_ms for period in closed]
    assert opens == list(range(opens[0], opens[-1] + 1, interval_s * 1000))
    for period in closed:
        assert period.low <= min(period.open, period.close) <= max(period.open, period.close) <= period.high
