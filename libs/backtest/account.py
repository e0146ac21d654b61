"""The money of a backtest: cash, the position, and the round trips that were made.

Invariant: positions are accounted as live (`libs.trading.positions`), exactly; a round trip ends when less is left than
the exchange would take, and what is left (dust) stays in the account until an exit takes it along.
"""

from decimal import Decimal
from typing import NamedTuple

from libs.backtest.venue import Execution, FillKind
from libs.trading.instruments import Instrument
from libs.trading.market import Side
from libs.trading.money import EXACT, exact
from libs.trading.positions import Fill, Position, apply, is_flat

_ZERO = Decimal(0)


class Trade(NamedTuple):
    """A round trip; a time is the opening of the candle in which it happened, amounts are in quote asset.

    Attributes:
        quantity: What was bought, the fee included.
        exit_price: Of the last sale.
        stop_loss: Where the stop stood last.
        exit_kind: What the last sale was.
        pnl: Net of fees.
        candles: How many it was held for, the first included.
    """

    number: int
    opened_at_ms: int
    closed_at_ms: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    quality: int
    exit_kind: FillKind
    pnl: Decimal
    fees: Decimal
    candles: int


class OpenTrade(NamedTuple):
    """A round trip that has begun."""

    opened_at_ms: int
    place: int
    quantity: Decimal
    entry_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    quality: int
    net_before: Decimal
    fees_before: Decimal


class Account:
    """One account with one symbol.

    Args:
        instrument: The symbol's rules.
        cash: What it begins with, in quote asset.
    """

    def __init__(self, instrument: Instrument, cash: Decimal) -> None:
        self._instrument = instrument
        self.cash = cash
        self.position = Position(symbol=instrument.symbol)
        self.open_trade: OpenTrade | None = None
        self.trades: list[Trade] = []
        self.executions: list[Execution] = []

    @property
    def is_open(self) -> bool:
        """Whether more than dust is held."""
        return self.open_trade is not None

    def equity(self, bid: Decimal) -> Decimal:
        """Return what the account is worth."""
        with exact():
            return self.cash + self.position.quantity * bid

    def opened(
        self, execution: Execution, *, at_ms: int, index: int, stop_loss: Decimal, take_profit: Decimal, quality: int
    ) -> Decimal:
        """Book an entry and return what was received of it, the fee taken off."""
        position = self.position
        with exact():
            begun = OpenTrade(
                opened_at_ms=at_ms,
                place=index,
                quantity=execution.quantity,
                entry_price=execution.price,
                stop_loss=stop_loss,
                take_profit=take_profit,
                quality=quality,
                net_before=position.realised_pnl - position.fees_quote,
                fees_before=position.fees_quote,
            )
        self._book(execution, at_ms)
        self.open_trade = begun
        return EXACT.subtract(execution.quantity, execution.fee)

    def moved_stop(self, stop_loss: Decimal) -> None:
        """Take note of where the stop stands now."""
        if self.open_trade is not None:
            self.open_trade = self.open_trade._replace(stop_loss=stop_loss)

    def sold(self, execution: Execution, *, at_ms: int, index: int) -> None:
        """Book a sale; the round trip ends with it if only dust is left."""
        self._book(execution, at_ms)
        trade, position = self.open_trade, self.position
        if trade is None or not is_flat(position, self._instrument, execution.price):
            return
        with exact():
            pnl = position.realised_pnl - position.fees_quote - trade.net_before
            fees = position.fees_quote - trade.fees_before
        self.open_trade = None
        self.trades.append(
            Trade(
                number=len(self.trades) + 1,
                opened_at_ms=trade.opened_at_ms,
                closed_at_ms=at_ms,
                quantity=trade.quantity,
                entry_price=trade.entry_price,
                exit_price=execution.price,
                stop_loss=trade.stop_loss,
                take_profit=trade.take_profit,
                quality=trade.quality,
                exit_kind=execution.kind,
                pnl=pnl,
                fees=fees,
                candles=index - trade.place + 1,
            )
        )

    def _book(self, execution: Execution, at_ms: int) -> None:
        is_purchase = execution.side is Side.BUY
        fill = Fill(
            symbol=self._instrument.symbol,
            side=execution.side,
            quantity=execution.quantity,
            price=execution.price,
            fee=execution.fee,
            fee_asset=self._instrument.base if is_purchase else self._instrument.quote,
            at_ms=at_ms,
        )
        self.executions.append(execution)
        self.position = apply(self.position, fill, flat=not self.is_open)
        with exact():
            amount = execution.quantity * execution.price
            self.cash += -amount if is_purchase else amount - execution.fee
