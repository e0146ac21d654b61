"""Whatever accounts and the market do, money, queues and the journal stay right."""

import pytest
from hypothesis import given, settings, strategies

from tests.unit.paper_exchange.market_of_chance import ChanceMarket

MASS = 1_000_000
SEEDS = range(8)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", SEEDS)
def test_a_million_operations_break_nothing(seed):
    market = ChanceMarket(seed, journal=False)

    market.run(MASS // len(SEEDS), restart_every=100_000)

    assert market.operations == MASS // len(SEEDS)
    assert min(len(market.trades), market.floor.counters["prevented"]) > market.operations // 50
    assert market.refused < market.operations // 4


@pytest.mark.sweep
def test_a_long_journal_replayed_again_and_again_gives_identical_trades():
    restarted, straight = ChanceMarket(5), ChanceMarket(5, journal=False)

    restarted.run(20_000, restart_every=5_000)
    straight.run(20_000)

    assert restarted.trades == straight.trades


@pytest.mark.sweep
@settings(max_examples=12, deadline=None)
@given(seed=strategies.integers(0, 1 << 32), restart_every=strategies.integers(1, 80))
def test_a_restart_at_any_moment_changes_no_trade(seed, restart_every):
    restarted, straight = ChanceMarket(seed), ChanceMarket(seed, journal=False)

    restarted.run(160, restart_every=restart_every)
    straight.run(160)
    straight.check_everything()

    assert restarted.trades == straight.trades
    assert restarted.owned == straight.owned
