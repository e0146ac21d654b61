"""The market that the bench plays makes the real strategy enter and exit with every candle."""

from decimal import Decimal
from itertools import pairwise

from benchmarks.pipeline.market import WARM_UP_CANDLES, Book, PlayedMarket
from benchmarks.pipeline.measuring import CONFIGURATION
from libs.common.configuration import load_configuration
from libs.common.contracts.events import CandleClosed
from libs.common.messaging.kafka import Kafka
from libs.common.messaging.publisher import Publisher
from libs.common.storage.redis import RedisStore
from libs.policy import configured_strategy
from libs.trading.strategies import Enter, Exit, Hold
from services.signal_generator.domain import core_candle
from tests.support.clock import FakeClock

SYMBOL = "BTC/USDT"
BOOK = Book(bid=Decimal("61234.55"), ask=Decimal("61234.56"))


class FakePublisher(Publisher):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(Kafka("nowhere:1", client_id="test"), clock=FakeClock())
        self.candles: list[CandleClosed] = []

    def publish(self, event, **_):
        self.candles.append(event)


def a_market(*, rounds: int) -> tuple[PlayedMarket, FakePublisher]:
    publisher = FakePublisher()
    market = PlayedMarket(
        books={SYMBOL: BOOK},
        publisher=publisher,
        prices=RedisStore.connect("redis://nowhere:1/0", name="test"),
        clock=FakeClock(),
        candles_max=WARM_UP_CANDLES + 2 * rounds,
    )
    return market, publisher


async def test_every_rising_candle_enters_and_every_falling_one_exits():
    market, publisher = a_market(rounds=200)
    strategy = configured_strategy(load_configuration([CONFIGURATION]), SYMBOL)

    market.warm_up()
    warm = [strategy.on_candle(core_candle(candle)) for candle in publisher.candles]
    decisions = [strategy.on_candle(core_candle(market.candle(SYMBOL, rises=number % 2 == 0))) for number in range(400)]

    assert all(isinstance(decision, Hold) for decision in warm)
    assert all(isinstance(decision, Enter) for decision in decisions[::2])
    assert all(isinstance(decision, Exit) for decision in decisions[1::2])


async def test_candles_follow_each_other_and_end_at_the_present():
    market, publisher = a_market(rounds=1)

    market.warm_up()
    candles = [*publisher.candles, market.candle(SYMBOL, rises=True), market.candle(SYMBOL, rises=False)]

    assert all(before.close_at == after.open_at for before, after in pairwise(candles))
    assert candles[-1].close_at == FakeClock().now()


async def test_an_entrys_quality_passes_the_configured_threshold():
    market, publisher = a_market(rounds=1)
    configuration = load_configuration([CONFIGURATION])
    strategy = configured_strategy(configuration, SYMBOL)

    market.warm_up()
    for candle in publisher.candles:
        strategy.on_candle(core_candle(candle))
    decision = strategy.on_candle(core_candle(market.candle(SYMBOL, rises=True)))

    assert isinstance(decision, Enter)
    assert decision.quality.value >= configuration.strategy.quality_min
