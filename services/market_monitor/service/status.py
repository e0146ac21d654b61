"""When a market's status is told, and which alerts follow from it.

Invariant: every change is told at once, the standing state once a second, and an alert once per onset.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from libs.common.clock import epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.events import MarketStatusChanged
from libs.common.contracts.vocabulary import MarketCondition
from libs.common.observability import metrics
from libs.exchange.market_data.port import ServerTime
from services.market_monitor.domain.connection import ClockComparison, Reachability
from services.market_monitor.domain.market import SymbolMarket
from services.market_monitor.service.events import anomaly_reported, anomaly_subject, outage_reported

STATUS_INTERVAL_MS: Final = 1_000

_ALERTED: Final = frozenset(MarketCondition) - {
    MarketCondition.API_UNREACHABLE,  # has an alert type of its own
    MarketCondition.STREAM_SILENT,  # the same
    MarketCondition.SYMBOL_HALTED,  # the exchange's own decision
    MarketCondition.TRADES_MISSED,  # repaired by itself
}


@dataclass(frozen=True, slots=True)
class _View:
    """A market's status in essence: when it changes, the status is told at once."""

    reachable: bool
    calm: bool
    conditions: tuple[MarketCondition, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """The last status published of a symbol, and when."""

    view: _View
    at_ms: int


class StatusBoard:
    """Keeps what is known of the exchange itself, and what was told of each market."""

    def __init__(self, *, frame_age_ms_max: int, now_ms: int) -> None:
        self.reachability = Reachability(frame_age_ms_max=frame_age_ms_max, now_ms=now_ms)
        self._comparison = ClockComparison()
        self._used_weight = 0
        self._told: dict[str, _Told] = {}
        self._alerted: frozenset[str] = frozenset()

    @property
    def skew_ms(self) -> int:
        """The exchange's clock minus ours."""
        return self._comparison.skew_ms

    def answers(self, now_ms: int) -> bool:
        """Whether the exchange answered lately."""
        return self.reachability.answers(now_ms)

    def on_frame(self, now_ms: int) -> None:
        """The stream delivered something."""
        self.reachability.on_frame(now_ms)

    def on_server_time(self, time: ServerTime, *, used_weight: int, now_ms: int) -> None:
        """The exchange answered, and told its clock."""
        self.reachability.on_answer(now_ms)
        self._comparison.on_sample(round_trip_ms=time.round_trip_ms, skew_ms=time.skew_ms)
        self._used_weight = used_weight
        metrics.EXCHANGE_CLOCK_SKEW_SECONDS.set(self.skew_ms / 1000)

    def news(self, markets: Iterable[SymbolMarket], now: datetime) -> list[Event]:
        """Return the statuses that changed or are due again, and the alerts that follow."""
        now_ms = epoch_ms(now)
        outage = self.reachability.news(now_ms)
        events: list[Event] = [] if outage is None else [outage_reported(outage, now)]
        alerted: set[str] = set()
        for market in markets:
            view = self._view(market, now_ms)
            subjects = {
                anomaly_subject(condition, market.symbol): condition
                for condition in view.conditions
                if condition in _ALERTED
            }
            begun = [subject for subject in subjects if subject not in self._alerted | alerted]
            alerted |= subjects.keys()
            is_due = self._is_due(market.symbol, view, now_ms)
            if is_due or begun:
                status = self._status(market, view, now)
                events += [status] if is_due else []
                events += [anomaly_reported(status, subjects[subject]) for subject in begun]
        self._alerted = frozenset(alerted)
        return events

    def _view(self, market: SymbolMarket, now_ms: int) -> _View:
        disturbances = market.anomalies.conditions(now_ms, skew_ms=self.skew_ms)
        outages = {
            MarketCondition.API_UNREACHABLE: not self.reachability.answers(now_ms),
            MarketCondition.STREAM_SILENT: not self.reachability.delivers(now_ms),
            MarketCondition.SYMBOL_HALTED: not market.is_trading,
        }
        present = [condition for condition, is_present in outages.items() if is_present]
        return _View(
            reachable=self.reachability.is_up(now_ms), calm=not disturbances, conditions=(*present, *disturbances)
        )

    def _is_due(self, symbol: str, view: _View, now_ms: int) -> bool:
        told = self._told.get(symbol)
        if told is not None and told.view == view and 0 <= now_ms - told.at_ms < STATUS_INTERVAL_MS:
            return False
        self._told[symbol] = _Told(view, now_ms)
        return True

    def _status(self, market: SymbolMarket, view: _View, now: datetime) -> MarketStatusChanged:
        data_age_ms = market.anomalies.data_age_ms(epoch_ms(now))
        metrics.MARKET_DATA_AGE_SECONDS.labels(symbol=market.symbol).set(data_age_ms / 1000)
        return MarketStatusChanged(
            occurred_at=now,
            symbol=market.symbol,
            reachable=view.reachable,
            calm=view.calm,
            trading=market.is_trading,
            conditions=view.conditions,
            data_age_ms=data_age_ms,
            clock_skew_ms=self.skew_ms,
            spread_rate=market.anomalies.spread_rate,
            volatility_rate=market.anomalies.volatility_rate,
            used_weight=self._used_weight,
        )
