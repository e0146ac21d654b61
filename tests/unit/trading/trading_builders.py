"""Builders of the core's values with defaults, so that a test states only what matters.

The numbers belong together: 10 000 USDT of equity, 2 % a position, a quote of 49 999.99 / 50 000.01.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from libs.trading.instruments import Instrument
from libs.trading.market import Candle, Quote, Side
from libs.trading.positions import Fill
from libs.trading.risk import Exposure, MarketView, Proposal, RiskLimits, Role

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

# Decimals for hypothesis: as many places as the exchange prints.
PLACES = 8


def an_instrument(**changes: object) -> Instrument:
    values: dict[str, object] = {
        "symbol": "BTC/USDT",
        "base": "BTC",
        "quote": "USDT",
        "price_tick": Decimal("0.01000000"),
        "price_min": Decimal("0.01000000"),
        "price_max": Decimal("1000000.00000000"),
        "quantity_step": Decimal("0.00001000"),
        "quantity_min": Decimal("0.00001000"),
        "quantity_max": Decimal("9000.00000000"),
        "market_quantity_step": Decimal(0),
        "market_quantity_min": Decimal(0),
        "market_quantity_max": Decimal("100.00000000"),
        "notional_min": Decimal("5.00000000"),
        "notional_max": Decimal("9000000.00000000"),
        "bid_multiplier_up": Decimal(5),
        "bid_multiplier_down": Decimal("0.2"),
        "ask_multiplier_up": Decimal(5),
        "ask_multiplier_down": Decimal("0.2"),
    }
    return Instrument(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def a_quote(bid: str = "49999.99", ask: str = "50000.01", symbol: str = "BTC/USDT") -> Quote:
    return Quote(
        symbol=symbol,
        bid=Decimal(bid),
        ask=Decimal(ask),
        bid_quantity=Decimal(1),
        ask_quantity=Decimal(1),
        at_ms=1_700_000_000_000,
    )


def a_candle(
    number: int,
    close: float = 100.0,
    *,
    high: float | None = None,
    low: float | None = None,
    volume: float = 1.0,
    interval_s: int = 60,
    symbol: str = "BTC/USDT",
    partial: bool = False,
) -> Candle:
    """Return candle `number` since the Unix epoch."""
    return Candle(
        symbol=symbol,
        interval_s=interval_s,
        open_at_ms=number * interval_s * 1000,
        open=close,
        high=close if high is None else high,
        low=close if low is None else low,
        close=close,
        volume=volume,
        trades=1,
        partial=partial,
    )


def limits(**changes: object) -> RiskLimits:
    values: dict[str, object] = {
        "daily_loss_limit_pct": Decimal(3),
        "positions_max": 5,
        "position_size_pct": Decimal(2),
        "order_notional_max": Decimal(1000),
        "exposure_notional_max": Decimal(5000),
        "price_collar_rate": Decimal("0.01"),
        "volatility_rate_max": Decimal("0.05"),
        "spread_rate_max": Decimal("0.001"),
        "orders_per_minute_max": 10,
        "messages_per_minute_max": 20,
        "strategy_messages_per_minute_max": 8,
        "messages_kept_rate": Decimal("0.5"),
        "drawdown_pct_max": Decimal(10),
        "loss_streak_max": 4,
        "repeated_trips_max": 3,
        "refusals_max": 3,
        "refusals_of": 5,
        "refusals_window_s": 60,
        "duplicate_window_s": 10,
        "signal_age_s_max": 5,
        "quality_min": 50,
    }
    return RiskLimits(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def an_entry(**changes: object) -> Proposal:
    values: dict[str, object] = {
        "account": "main",
        "symbol": "BTC/USDT",
        "side": Side.BUY,
        "role": Role.ENTRY,
        "price": Decimal("50000.00"),
        "proposed_at": NOW,
        "quality": 60,
        "stop_loss": Decimal("49500.00"),
        "take_profit": Decimal("51000.00"),
    }
    return Proposal(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def an_exit(**changes: object) -> Proposal:
    values: dict[str, object] = {"side": Side.SELL, "role": Role.EXIT, "stop_loss": None, "take_profit": None}
    return an_entry(**(values | changes))


def an_exposure(**changes: object) -> Exposure:
    values: dict[str, object] = {
        "equity": Decimal(10_000),
        "equity_at": NOW,
        "day_start_equity": Decimal(10_000),
        "peak_24h_equity": Decimal(10_000),
        "free_quote": Decimal(10_000),
    }
    return Exposure(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def holding(quantity: str, **changes: object) -> Exposure:
    positions: Mapping[str, Decimal] = {"BTC/USDT": Decimal(quantity)}
    return an_exposure(positions=positions, **changes)


def a_market(**changes: object) -> MarketView:
    values: dict[str, object] = {
        "instrument": an_instrument(),
        "quote": a_quote(),
        "quote_age_ms": 100,
        "reachable": True,
        "calm": True,
        "volatility_rate": Decimal("0.01"),
        "trading": True,
    }
    return MarketView(**(values | changes))  # type: ignore[arg-type] # a builder's overrides have many types


def a_fill(
    side: Side = Side.BUY,
    quantity: str = "1",
    price: str = "100",
    fee: str = "0",
    fee_asset: str = "USDT",
    *,
    symbol: str = "BTC/USDT",
    at_ms: int = 1000,
) -> Fill:
    return Fill(
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_asset=fee_asset,
        at_ms=at_ms,
    )
