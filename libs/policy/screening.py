"""Which entries of a strategy become signals, and where their exits stand as money."""

from decimal import Decimal
from typing import Final, NamedTuple

from libs.trading.money import to_decimal
from libs.trading.strategies import Enter, HoldReason

PRICE_STEP: Final = Decimal("0.00000001")
"""Binance's finest price; the risk rules round to the instrument's own."""


class Exits(NamedTuple):
    """Where the protection of an entry stands.

    Attributes:
        trailing_distance: How far below the highest price the stop follows it; None: it stays.
    """

    stop_loss: Decimal
    take_profit: Decimal
    trailing_distance: Decimal | None = None


def exits_of(entry: Enter, close: Decimal, quality_min: int) -> Exits | tuple[str, ...]:
    """Return an entry's exits, or why it is held.

    Args:
        entry: What the strategy decided.
        close: The deciding candle's last price.
        quality_min: Entries of a lower quality are held.
    """
    quality = entry.quality.value
    if quality < quality_min:
        return (f"quality {quality} below {quality_min}", *entry.quality.reasons)
    trailing = entry.trailing_distance
    exits = Exits(
        to_decimal(entry.stop_loss, PRICE_STEP),
        to_decimal(entry.take_profit, PRICE_STEP),
        None if trailing is None else to_decimal(trailing, PRICE_STEP),
    )
    if not 0 < exits.stop_loss < close < exits.take_profit or exits.trailing_distance == 0:
        return (HoldReason.STOPS_ARE_IMPOSSIBLE,)  # the finest price leaves no room between entry and exits
    return exits
