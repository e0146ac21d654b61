"""The seeded rule for the levels behind the recorded best price.

Invariant: a level is a function of seed, side and price alone, so the deep book stands still while the best moves.
"""

from libs.trading.matching.types import Side

_MASK = (1 << 64) - 1


def mix(value: int) -> int:
    """Return 64 well-mixed bits of `value` (SplitMix64, Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class SeededDepth:
    """A level at every multiple of `spacing` ticks, each of a quarter up to two and a quarter times `typical_lots`.

    Args:
        seed: Selects the quantities.
        spacing: Ticks between two levels.
        typical_lots: The scale of a level's quantity.
        price_max: The last price with a level on the selling side; the buying side ends at the first tick.
    """

    def __init__(self, *, seed: int, spacing: int, typical_lots: int, price_max: int) -> None:
        if min(spacing, typical_lots, price_max) <= 0:
            raise ValueError(f"expected positive sizes, found {spacing=} {typical_lots=} {price_max=}")
        self._seed = mix(seed)
        self._spacing = spacing
        self._typical_lots = typical_lots
        self._price_max = price_max

    def next_price(self, side: Side, price: int) -> int | None:
        """Return the next worse price on `side` at which the rule has a level, or `None` at the book's end."""
        step = self._spacing
        following = (price - 1) // step * step if side is Side.BUY else (price // step + 1) * step
        return following if 0 < following <= self._price_max else None

    def lots(self, side: Side, price: int) -> int:
        """Return the quantity at `price`, 0 where the rule has no level."""
        if price % self._spacing or not 0 < price <= self._price_max:
            return 0
        bits = mix(self._seed ^ (price * 2 + (side is Side.BUY)))
        return max(1, self._typical_lots * (64 + (bits & 511)) // 256)
