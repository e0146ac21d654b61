"""What came of a run.

Invariant: it holds what happened and no figure that could be worked out from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.backtest.account import OpenTrade, Trade
from libs.backtest.candles.columns import Numbers
from libs.backtest.venue import Execution
from libs.trading.strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The daily loss limit was reached: the candle at whose close, and the figures."""

    at_ms: int
    loss: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        marks: The account's worth at each candle's close.
        held_quantity: What is held at the end, dust included.
        open_trade: The round trip that had not ended.
        held: Entries that did not become signals, by reason.
        refused: Signals that the risk rules refused, by reason.
        missed: Approved entries that the market had left behind.
        unneeded: Exits without a position.
    """

    strategy: Strategy
    trades: list[Trade]
    marks: Numbers
    cash: Decimal
    held_quantity: Decimal
    fees: Decimal
    executions: Sequence[Execution]
    halts: list[Halt]
    entries: int
    exits: int
    held: Mapping[str, int]
    refused: Mapping[str, int]
    missed: int
    unneeded: int
    open_trade: OpenTrade | None
