"""Whatever a signal or a quote may say is answered with an approval or a refusal: it stops nobody."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import pytest

from libs.common.clock import epoch_ms
from libs.common.contracts.codec import decode, encode
from libs.common.contracts.events import OrderApproved, OrderRefused, SignalGenerated
from libs.common.messaging.cause import Cause, enclose
from libs.trading.market import Quote
from tests.service.risk_manager.builders import NOW, a_signal
from tests.service.risk_manager.test_judging import Desk

LEAST, MOST = Decimal("0.00000001"), Decimal("99999999999.99999999")
PRICES = (LEAST, Decimal("50000.12345678"), MOST)
STOPS = (None, LEAST, Decimal("0.01"), Decimal(49_500), MOST)
TARGETS = (None, LEAST, Decimal(51_000), MOST)
LONGEST = (Decimal("1e-18"), Decimal("1234567890123456789012.123456789012345678"))


def signals() -> Iterator[SignalGenerated]:
    """Yield signals as a reader has them: through the wire."""
    places = product((*PRICES, *LONGEST), STOPS, TARGETS, (None, 0, 100))
    for number, (reference_price, stop_loss, take_profit, quality) in enumerate(places):
        signal = a_signal(
            signal_id=f"signal-{number}",
            reference_price=reference_price,
            stop_loss=stop_loss,
            take_profit=take_profit,
            quality_score=quality,
        )
        wire = encode(enclose(signal, cause=Cause.none(), ordinal=0, now=NOW))
        event = decode(wire.topic, wire.value, wire.headers).event
        assert isinstance(event, SignalGenerated)
        yield event


@pytest.mark.sweep
@pytest.mark.parametrize("method", ["fixed_fraction", "volatility_target", "risk_per_trade"])
async def test_every_extreme_is_approved_or_refused(method: str) -> None:
    quotes = [Quote("BTC/USDT", bid, ask, LEAST, MOST, epoch_ms(NOW)) for bid, ask in product(PRICES, PRICES)]
    usual = Quote("BTC/USDT", Decimal("49999.99"), Decimal("50000.01"), LEAST, MOST, epoch_ms(NOW))
    reasons = set()

    for number, signal in enumerate(signals()):
        for quote in (usual, quotes[number % len(quotes)]):
            desk = await Desk(strategy={"sizing": {"method": method}}).marked()
            desk.market.newest = quote
            (answer,) = await desk.judged(signal)
            assert isinstance(answer, OrderApproved | OrderRefused)
            encode(enclose(answer, cause=Cause.none(), ordinal=0, now=NOW))
            reasons.add(answer.reason if isinstance(answer, OrderRefused) else "")

    assert {"", "QUOTE_IS_IMPLAUSIBLE", "PRICE_IS_OUTSIDE_COLLAR", "PRICE_IS_BEYOND_EXITS", "QUALITY_IS_LOW"} <= reasons
