"""The rules of symbols whose candles may be traded on.

Invariant: for the symbols that the paper exchange lists, these are its rules; a test holds them together.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.trading.instruments import Instrument

_STEPS: Final[Mapping[str, tuple[str, str, str]]] = {
    "BTC/USDT": ("0.01", "0.00001", "120"),
    "ETH/USDT": ("0.01", "0.0001", "2000"),
}
"""Price tick, quantity step and the most of a market order."""

KNOWN: Final = tuple(_STEPS)


def instrument_of(
    symbol: str, *, price_tick: Decimal | None = None, quantity_step: Decimal | None = None
) -> Instrument:
    """Return a symbol's rules.

    Args:
        symbol: As in 'BTC/USDT'.
        price_tick: The step of its prices; None: the known one.
        quantity_step: The step of its quantities; None: the known one.

    Raises:
        ValueError: The symbol is none, or is not known and a step is missing.
    """
    base, slash, quote = symbol.partition("/")
    if not (base and slash and quote):
        raise ValueError(f"expected a symbol such as BTC/USDT, found {symbol!r}")
    known_tick, known_step, market_max = _STEPS.get(symbol, ("0", "0", "0"))
    tick, step = price_tick or Decimal(known_tick), quantity_step or Decimal(known_step)
    if not (tick > 0 and step > 0):
        raise ValueError(
            f"expected a price tick and a quantity step for {symbol} (known: {', '.join(KNOWN)}), found none"
        )
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        price_tick=tick,
        price_min=tick,
        price_max=Decimal(1_000_000),
        quantity_step=step,
        quantity_min=step,
        quantity_max=Decimal(9_000),
        market_quantity_step=Decimal(0),
        market_quantity_min=Decimal(0),
        market_quantity_max=Decimal(market_max),
        notional_min=Decimal(5),
        notional_max=Decimal(9_000_000),
        bid_multiplier_up=Decimal(5),
        bid_multiplier_down=Decimal("0.2"),
        ask_multiplier_up=Decimal(5),
        ask_multiplier_down=Decimal("0.2"),
    )
