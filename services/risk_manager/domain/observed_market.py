"""What the market monitor says of the markets, and for how long the exchange has been out of reach.

Silence of the market monitor counts as silence of the exchange: what nobody watches cannot be traded on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from libs.common.contracts.events import MarketStatusChanged
from services.risk_manager.domain.figures import MarketFacts

STATUS_AGE_S_MAX: Final = 10.0
"""A status comes every second; after this silence the last one says nothing any more."""


@dataclass(frozen=True, slots=True)
class _Heard:
    status: MarketStatusChanged
    at_s: float


class ObservedMarket:
    """The latest status of every symbol, with when it was heard on the monotonic clock.

    Args:
        started_at_s: From when on the exchange counts as out of reach until a status says otherwise.
        clock_skew_ms_max: Returns beyond what the clocks, and with them every age, are not trusted: not calm.
    """

    def __init__(self, *, started_at_s: float, clock_skew_ms_max: Callable[[], int]) -> None:
        self._heard: dict[str, _Heard] = {}
        self._reachable_at_s = started_at_s
        self._clock_skew_ms_max = clock_skew_ms_max

    def hear(self, status: MarketStatusChanged, *, now_s: float) -> None:
        """Take note of a status."""
        self._heard[status.symbol] = _Heard(status, now_s)
        if status.reachable:
            self._reachable_at_s = now_s

    def facts(self, symbol: str, *, now_s: float) -> MarketFacts:
        """Return what is known of a symbol's market now; data ages on while nothing is heard."""
        heard = self._heard.get(symbol)
        if heard is None or now_s - heard.at_s > STATUS_AGE_S_MAX:
            return MarketFacts()
        status = heard.status
        return MarketFacts(
            reachable=status.reachable,
            calm=status.calm and abs(status.clock_skew_ms) <= self._clock_skew_ms_max(),
            trading=status.trading,
            data_age_ms=status.data_age_ms + round((now_s - heard.at_s) * 1_000),
            volatility_rate=status.volatility_rate,
            clock_skew_ms=status.clock_skew_ms,
        )

    def unreachable_for_s(self, *, now_s: float) -> float:
        """Return for how long no symbol has been reported as reachable."""
        return now_s - self._reachable_at_s
