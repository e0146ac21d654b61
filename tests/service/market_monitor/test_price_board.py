from datetime import UTC, datetime
from decimal import Decimal

from libs.common.observability import metrics
from libs.common.storage.redis import RedisStore
from services.market_monitor.adapters import RedisPriceBoard
from services.market_monitor.service.monitor import LatestPrice

PRICE = LatestPrice("BTC/USDT", bid=None, ask=None, last=Decimal(50_000), at=datetime(2026, 1, 5, tzinfo=UTC))


async def test_prices_that_redis_does_not_take_are_dropped_and_counted():
    store = RedisStore.connect("redis://127.0.0.1:1/0", name="test")
    before = _unwritten()

    await RedisPriceBoard(store).write([PRICE])

    assert _unwritten() == before + 1


def _unwritten() -> float:
    return metrics.REGISTRY.get_sample_value("trader_prices_unwritten_total") or 0.0
