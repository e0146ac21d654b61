"""What trades, and trades of an account with itself that are prevented, do to orders and balances.

Invariant: what one side of a trade gives the other side receives, less the commission.
"""

from libs.trading.matching import Fill, PreventedMatch, Side
from services.paper_exchange.venue.closing import Closing
from services.paper_exchange.venue.floor_state import FloorState
from services.paper_exchange.venue.orders import AccountFill, Order, Prevented
from services.paper_exchange.venue.rules import commission_on

_TRANSFER = "TRANSFER"
_DECREMENT = "DECREMENT"


class Settlement:
    """Settle what matching found.

    Args:
        floor: What the parts of the floor share.
        closing: Ends the orders of which nothing is left.
    """

    def __init__(self, floor: FloorState, closing: Closing) -> None:
        self._floor = floor
        self._closing = closing

    def settle(self, symbol: str, fill: Fill, taker_side: Side) -> None:
        """Move the money of one trade, report it to each client in it, and print it."""
        floor = self._floor
        trade = floor.history.add_client_trade(
            symbol, at_ms=floor.now_ms, price=fill.price, lots=fill.lots, buyer_is_maker=taker_side is Side.SELL
        )
        for order_id, is_maker in ((fill.maker, True), (fill.taker, False)):
            if order_id is not None:
                self._execute(floor.desk.order(order_id), fill, trade.trade_id, is_maker=is_maker)
        if fill.maker is None:
            floor.changes.note_taken(symbol)
        floor.audience.on_trade(symbol, trade)
        floor.show_levels(symbol, taker_side.opposite, fill.price)

    def prevent(self, taker: Order, match: PreventedMatch) -> None:
        """Take from both orders what their owner's mode says, and record the match that did not happen."""
        floor = self._floor
        maker = floor.desk.order(match.maker)
        floor.counters["prevented"] += 1
        prevented = Prevented(
            match_id=floor.counters["prevented"],
            account=taker.account,
            symbol=taker.symbol,
            taker_id=taker.order_id,
            maker_id=maker.order_id,
            mode=_effective_mode(taker, maker),
            price=match.price,
            lots=match.lots,
            taker_lots=match.taker_lots,
            maker_lots=match.maker_lots,
            at_ms=floor.now_ms,
        )
        floor.desk.add_prevented(prevented)
        floor.changes.prevented.append(prevented)
        for order, lots in ((taker, match.taker_lots), (maker, match.maker_lots)):
            if lots:
                self._lose(order, lots, prevented)
        floor.show_levels(taker.symbol, maker.side, match.price)

    def _execute(self, order: Order, fill: Fill, trade_id: int, *, is_maker: bool) -> None:
        floor, rules = self._floor, order.request.rules
        self._closing.release_siblings(order)
        order.executed += fill.lots
        order.spent += fill.price * fill.lots
        order.updated_ms = floor.now_ms
        cost, base = rules.notional(fill.price, fill.lots), rules.base_units(fill.lots)
        received, given = (base, cost) if order.side is Side.BUY else (cost, base)
        commission = commission_on(received)
        floor.ledger.pay(order.account, order.gives, given)
        floor.ledger.credit(order.account, order.receives, received - commission)
        self._hold_for_pending(order, received, commission)
        order.locked -= given
        self._release_unneeded(order)
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        account_fill = AccountFill(
            trade_id=trade_id,
            order_id=order.order_id,
            client_id=order.request.client_id,
            list_id=order.list_id,
            account=order.account,
            symbol=order.symbol,
            side=order.side,
            price=fill.price,
            lots=fill.lots,
            commission=commission,
            commission_asset=order.receives,
            is_maker=is_maker,
            at_ms=floor.now_ms,
            place_ms=floor.history.place_ms,
        )
        floor.changes.fills.append(account_fill)
        floor.desk.add_fill(account_fill)
        floor.report(order, "TRADE", fill=account_fill)
        if not order.remaining:
            self._closing.complete(order)

    def _hold_for_pending(self, order: Order, received: int, commission: int) -> None:
        """Let the legs of a list that pays them hold what its working order received.

        The commission comes out of what is free, and only where that is not enough out of what was received
        (https://developers.binance.com/docs/binance-spot-api-docs/faqs/opo).
        """
        floor = self._floor
        order_list = floor.desk.list_of(order)
        pending = floor.desk.pending(order)
        if order_list is None or not order_list.pays or not pending:
            return
        is_free = floor.ledger.balance(order.account, order.receives).free >= received
        held = received if is_free else received - commission
        floor.ledger.lock(order.account, order.receives, held)
        pending[0].locked += held
        floor.changes.note(pending[0])

    def _lose(self, order: Order, lots: int, prevented: Prevented) -> None:
        self._closing.release_siblings(order)
        order.prevented += lots
        order.prevented_match_id = prevented.match_id
        order.updated_ms = self._floor.now_ms
        self._release_unneeded(order)
        if not order.remaining:
            order.status = "EXPIRED_IN_MATCH"
        self._floor.report(order, "TRADE_PREVENTION", prevented=prevented)
        if not order.remaining:
            self._closing.complete(order)

    def _release_unneeded(self, order: Order) -> None:
        """Give back what a limit order need not hold any more; one at the market holds its funds until it ends."""
        if order.request.price:
            self._floor.release(order, order.needed)


def _effective_mode(taker: Order, maker: Order) -> str:
    """Return the mode that took effect: the taker's, but a transfer only where both orders ask for one."""
    mode = taker.request.prevention
    return _DECREMENT if mode == _TRANSFER != maker.request.prevention else mode
