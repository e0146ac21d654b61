"""Rebuilding the exchange from what its journal says.

Invariant: what is rebuilt equals what was when the last line was written.
"""

from collections.abc import Mapping
from decimal import Decimal

from libs.trading.matching import OrderBook, Side
from services.paper_exchange.journal import State
from services.paper_exchange.market.history import History, Trade
from services.paper_exchange.market.tape import Market
from services.paper_exchange.venue.desk import Desk
from services.paper_exchange.venue.ledger import Ledger
from services.paper_exchange.venue.orders import AccountFill
from services.paper_exchange.venue.records import fill_of, list_of, order_of, prevented_of
from services.paper_exchange.venue.rules import units_of


def restore_state(state: State, *, desk: Desk, ledger: Ledger, history: History) -> None:
    """Fill an empty desk, ledger and history."""
    for (account, asset), record in state.balances.items():
        free, locked = (units_of(Decimal(record[key])) for key in ("free", "locked"))
        ledger.set(account, asset, free=free, locked=locked)
    for _, record in sorted(state.lists.items()):
        desk.add_list(list_of(record))
    for _, record in sorted(state.orders.items()):
        desk.add(order_of(record))
    for _, record in sorted(state.prevented.items()):
        desk.add_prevented(prevented_of(record))
    trades: dict[str, dict[int, Trade]] = {}
    for record in state.fills.values():
        fill = fill_of(record)
        desk.add_fill(fill)
        known = trades.setdefault(fill.symbol, {})
        known[fill.trade_id] = _trade_of(fill)
    history.restore(state.counters["client_trades"], {symbol: list(known.values()) for symbol, known in trades.items()})


def restore_taken(state: State, *, books: Mapping[str, OrderBook], tape: Market) -> None:
    """Take away again what clients had taken of the recorded quotes that are still in force."""
    for symbol, record in state.taken.items():
        events = tape.events(record["place_ms"], state.place_ms)
        if not any(event.quote is not None and event.symbol == symbol for event in events):
            for side, price, lots in record["levels"]:
                books[symbol].restore_taken(Side(side), price, lots)


def _trade_of(fill: AccountFill) -> Trade:
    buyer_is_maker = fill.is_maker == (fill.side is Side.BUY)
    return Trade(fill.trade_id, fill.at_ms, fill.place_ms, fill.price, fill.lots, buyer_is_maker)
