"""What a backtest has to say, in one object with stable keys.

Invariant: amounts and prices are decimals, ratios are floats, times are aware UTC; nothing in it depends on when or
where it was made, so that the same run gives the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any, Final

from libs.backtest.account import Trade
from libs.backtest.candles.columns import Candles
from libs.backtest.costs import Costs
from libs.backtest.outcome import Outcome
from libs.backtest.statistics import daily, statistics_of
from libs.common.clock import from_epoch_ms
from libs.trading.money import exact, to_decimal

CENT: Final = Decimal("0.00000001")


def report_of(outcome: Outcome, candles: Candles, *, source: str, costs: Costs, cash: Decimal) -> dict[str, Any]:
    """Return the report.

    Args:
        outcome: Of the run.
        candles: What it ran over.
        source: Where they came from, for the reader.
        costs: What fills cost.
        cash: What the account began with, in quote asset.
    """
    gaps = candles.gaps()
    return {
        "strategy": {
            "name": outcome.strategy.name,
            "parameters": _parameters(outcome.strategy.parameters),
            "window": outcome.strategy.window,
        },
        "candles": {
            "source": source,
            "symbol": candles.symbol,
            "interval_s": candles.interval_s,
            "count": len(candles),
            "begin_at": from_epoch_ms(candles.begin_at_ms),
            "end_at": from_epoch_ms(candles.end_at_ms),
            "missing": sum(gap.missing for gap in gaps),
            "gaps": [
                {
                    "begin_at": from_epoch_ms(gap.begin_at_ms),
                    "end_at": from_epoch_ms(gap.end_at_ms),
                    "missing": gap.missing,
                }
                for gap in gaps
            ],
        },
        "costs": {
            "fee_rate": costs.fee_rate,
            "spread_rate": costs.spread_rate,
            "slippage_rate": costs.slippage_rate,
        },
        "signals": {
            "entries": outcome.entries,
            "exits": outcome.exits,
            "held": dict(outcome.held),
            "refused": dict(outcome.refused),
            "missed": outcome.missed,
            "unneeded": outcome.unneeded,
        },
        "equity": {
            "start": cash,
            "end": to_decimal(outcome.marks[-1], CENT),
            "lowest": to_decimal(min(outcome.marks), CENT),
            "highest": to_decimal(max(outcome.marks), CENT),
            "fees": outcome.fees,
            "curve": [
                {"at": from_epoch_ms(at_ms), "equity": to_decimal(mark, CENT)}
                for at_ms, mark in daily(candles, outcome.marks)
            ],
        },
        "statistics": statistics_of(outcome, candles, float(cash)),
        "halts": [{"at": from_epoch_ms(halt.at_ms), "loss": halt.loss, "limit": halt.limit} for halt in outcome.halts],
        "open_position": _open_position(outcome, candles),
        "trades": [_trade(trade) for trade in outcome.trades],
    }


def _trade(trade: Trade) -> dict[str, Any]:
    with exact():
        paid = trade.quantity * trade.entry_price
    return {
        "number": trade.number,
        "opened_at": from_epoch_ms(trade.opened_at_ms),
        "closed_at": from_epoch_ms(trade.closed_at_ms),
        "candles": trade.candles,
        "quantity": trade.quantity,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "stop_loss": trade.stop_loss,
        "take_profit": trade.take_profit,
        "quality_score": trade.quality,
        "exit": trade.exit_kind.value,
        "fees": trade.fees,
        "pnl": trade.pnl,
        "pnl_fraction": float(trade.pnl / paid),
    }


def _open_position(outcome: Outcome, candles: Candles) -> dict[str, Any] | None:
    if outcome.open_trade is None:
        return None
    trade = outcome.open_trade
    return {
        "opened_at": from_epoch_ms(trade.opened_at_ms),
        "candles": len(candles) - trade.place,
        "quantity": outcome.held_quantity,
        "entry_price": trade.entry_price,
        "stop_loss": trade.stop_loss,
        "take_profit": trade.take_profit,
        "quality_score": trade.quality,
        "last_price": to_decimal(candles.close[-1], CENT),
    }


def _parameters(parameters: object) -> dict[str, Any]:
    if is_dataclass(parameters) and not isinstance(parameters, type):
        return _plain(asdict(parameters))
    return {}


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON can show them: a name for every enumeration, lists for sequences."""
    return {name: _value(value) for name, value in parameters.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Sequence):
        return [_value(entry) for entry in value]
    return value
