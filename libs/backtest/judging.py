"""The risk rules, asked as the risk manager asks them, with what a candle can tell of the world.

Invariant: an order is only made of an approval by `libs.trading.risk`. What no candle shows is taken as given: the
exchange answers, its data is fresh, and the only account is this one.
"""

from collections import deque
from decimal import Decimal
from math import dist, fsum, log, sqrt
from operator import truediv
from typing import Final

from libs.backtest.account import Account
from libs.backtest.candles.columns import Candles
from libs.backtest.curve import EquityCurve
from libs.backtest.venue import Venue
from libs.common.clock import from_epoch_ms
from libs.common.configuration import TradingConfiguration
from libs.policy import PRICE_STEP, Exits, limits_of
from libs.trading.instruments import Instrument
from libs.trading.market import Side
from libs.trading.money import round_to_tick, to_decimal
from libs.trading.risk import Approved, Exposure, MarketView, Proposal, Refused, Role, TradingState, assess

ACCOUNT: Final = "backtest"
VOLATILITY_MINUTES: Final = 30
"""The market monitor's window."""

_MINUTE_S: Final = 60
_MINUTE_MS: Final = 60_000
_RATE_STEP: Final = Decimal("1e-8")


class Judge:
    """Answers the wishes of one strategy on one account."""

    def __init__(
        self, candles: Candles, configuration: TradingConfiguration, instrument: Instrument, venue: Venue
    ) -> None:
        self._candles = candles
        self._configuration = configuration
        self._instrument = instrument
        self._venue = venue
        self._jump_rate_max = float(configuration.safety.jump_rate_max)
        self._exit_limits = limits_of(configuration, equity=None)  # what depends on the equity limits no exit
        self._entries_at_ms: deque[int] = deque()

    def close_of(self, index: int) -> Decimal:
        """Return a candle's last price as money."""
        return to_decimal(self._candles.close[index], PRICE_STEP)

    def entry(
        self, index: int, exits: Exits, *, quality: int, account: Account, curve: EquityCurve, state: TradingState
    ) -> tuple[Proposal, Approved | Refused]:
        """Judge the wish to buy at the close of a candle."""
        market, now_ms = self._market(index), self._closed_at_ms(index)
        now = from_epoch_ms(now_ms)
        while self._entries_at_ms and self._entries_at_ms[0] <= now_ms - _MINUTE_MS:
            self._entries_at_ms.popleft()
        symbol, tick = self._instrument.symbol, self._instrument.price_tick
        bid = market.quote.bid
        equity = account.equity(bid)
        held = account.position.quantity
        exposure = Exposure(
            equity=equity,
            equity_at=now,
            day_start_equity=curve.day_start(),
            peak_24h_equity=curve.peak(),
            free_quote=account.cash,
            positions={symbol: held} if account.is_open else {},
            positions_notional=equity - account.cash if account.is_open else Decimal(0),
            orders_last_minute=len(self._entries_at_ms),
            last_entries={symbol: from_epoch_ms(self._entries_at_ms[-1])} if self._entries_at_ms else {},
        )
        proposal = Proposal(
            account=ACCOUNT,
            symbol=symbol,
            side=Side.BUY,
            role=Role.ENTRY,
            price=to_decimal(self._candles.close[index], tick),
            proposed_at=now,
            quality=quality,
            stop_loss=round_to_tick(exits.stop_loss, tick),
            take_profit=round_to_tick(exits.take_profit, tick),
            trailing_distance=exits.trailing_distance,
        )
        limits = limits_of(self._configuration, equity=equity)
        answer = assess(proposal, exposure, market, limits, state, now)
        if isinstance(answer, Approved):
            self._entries_at_ms.append(now_ms)
        return proposal, answer

    def exit(self, at_ms: int, price: float, role: Role, account: Account, state: TradingState) -> Approved | Refused:
        """Judge the wish to sell what is held."""
        now = from_epoch_ms(at_ms)
        proposal = Proposal(
            account=ACCOUNT,
            symbol=self._instrument.symbol,
            side=Side.SELL,
            role=role,
            price=to_decimal(price, self._instrument.price_tick),
            proposed_at=now,
        )
        exposure = Exposure(positions={self._instrument.symbol: account.position.quantity})
        market = MarketView(
            instrument=self._instrument,
            quote=self._venue.quote(price, at_ms),
            quote_age_ms=0,
            reachable=True,
            trading=True,
        )
        return assess(proposal, exposure, market, self._exit_limits, state, now)

    def _market(self, index: int) -> MarketView:
        close, high, low = self._candles.close[index], self._candles.high[index], self._candles.low[index]
        return MarketView(
            instrument=self._instrument,
            quote=self._venue.quote(close, self._closed_at_ms(index)),
            quote_age_ms=0,
            reachable=True,
            calm=high - low <= low * self._jump_rate_max,  # all of the candle's move may have been one jump
            volatility_rate=self._volatility_rate(index),
            trading=True,
        )

    def _volatility_rate(self, index: int) -> Decimal | None:
        """Return the standard deviation of one-minute log returns; from longer candles by the square root of time."""
        interval_s = self._candles.interval_s
        step = max(_MINUTE_S // interval_s, 1)
        begin = index - VOLATILITY_MINUTES * step
        if begin < 0:
            return None
        closes = self._candles.close[begin : index + 1 : step]
        returns = list(map(log, map(truediv, closes[1:], closes)))
        mean = fsum(returns) / VOLATILITY_MINUTES
        rate = dist(returns, [mean] * VOLATILITY_MINUTES) / sqrt(VOLATILITY_MINUTES - 1)
        return to_decimal(rate / sqrt(max(interval_s / _MINUTE_S, 1.0)), _RATE_STEP)

    def _closed_at_ms(self, index: int) -> int:
        return self._candles.open_at_ms[index] + self._candles.interval_ms
