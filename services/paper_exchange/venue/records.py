"""How the journal writes what the exchange knows.

Invariant: reading a record back gives the same order, list, fill or prevented match.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.trading.matching import OrderBook, Place, Side, TimeInForce
from services.paper_exchange.market.timeline import Segment
from services.paper_exchange.venue.ledger import Balance
from services.paper_exchange.venue.orders import NOT_YET, AccountFill, NewOrder, Order, OrderList, Prevented
from services.paper_exchange.venue.rules import LISTED, text_of, units_of

Record = dict[str, Any]


def order_record(order: Order) -> Record:
    """Return an order as the journal writes it."""
    request, rules = order.request, order.request.rules
    return {
        "type": "order",
        "order_id": order.order_id,
        "account": order.account,
        "symbol": rules.symbol,
        "side": request.side.value,
        "order_type": request.kind,
        "time_in_force": request.time_in_force.value,
        "client_order_id": request.client_id,
        "quantity": rules.quantity_text(order.lots),
        "quote_order_quantity": text_of(request.quote_units),
        "price": rules.price_text(request.price),
        "stop_price": rules.price_text(request.stop_price),
        "iceberg_quantity": rules.quantity_text(request.iceberg_lots),
        "trailing_delta": request.trailing_delta,
        "trailing_at_ms": order.trailing_ms,
        "best_price": rules.price_text(order.best_price),
        "executed_quantity": rules.quantity_text(order.executed),
        "executed_quote": rules.notional_text(order.spent),
        "prevented_quantity": rules.quantity_text(order.prevented),
        "prevented_match_id": order.prevented_match_id,
        "status": order.status,
        "order_list_id": order.list_id,
        "locked": text_of(order.locked),
        "created_at_ms": order.created_ms,
        "updated_at_ms": order.updated_ms,
        "working_at_ms": order.working_ms,
        "self_trade_prevention": request.prevention,
        "strategy_id": request.strategy_id,
        "strategy_type": request.strategy_type,
        "expiry_reason": order.expiry_reason,
    }


def order_of(record: Mapping[str, Any]) -> Order:
    """Return the order that `record` describes; what a journal of an earlier version lacks was never used then."""
    rules = LISTED[record["symbol"]]
    request = NewOrder(
        rules=rules,
        side=Side(record["side"]),
        kind=record["order_type"],
        client_id=record["client_order_id"],
        time_in_force=TimeInForce(record["time_in_force"]),
        lots=_count(record["quantity"], rules.step_units),
        quote_units=_count(record["quote_order_quantity"], 1),
        price=_count(record["price"], rules.tick_units),
        stop_price=_count(record["stop_price"], rules.tick_units),
        prevention=record["self_trade_prevention"],
        strategy_id=record["strategy_id"],
        strategy_type=record["strategy_type"],
        iceberg_lots=_count(record.get("iceberg_quantity", "0"), rules.step_units),
        trailing_delta=record.get("trailing_delta", 0),
    )
    return Order(
        order_id=record["order_id"],
        account=record["account"],
        request=request,
        lots=_count(record["quantity"], rules.step_units),
        created_ms=record["created_at_ms"],
        updated_ms=record["updated_at_ms"],
        list_id=record["order_list_id"],
        working_ms=record["working_at_ms"],
        executed=_count(record["executed_quantity"], rules.step_units),
        spent=_count(record["executed_quote"], rules.notional_factor),
        status=record["status"],
        locked=_count(record["locked"], 1),
        expiry_reason=record["expiry_reason"],
        prevented=_count(record.get("prevented_quantity", "0"), rules.step_units),
        prevented_match_id=record.get("prevented_match_id", 0),
        trailing_ms=record.get("trailing_at_ms", NOT_YET),
        best_price=_count(record.get("best_price", "0"), rules.tick_units),
    )


def list_record(order_list: OrderList) -> Record:
    """Return an order list as the journal writes it."""
    return {
        "type": "order_list",
        "order_list_id": order_list.list_id,
        "account": order_list.account,
        "symbol": order_list.symbol,
        "list_client_order_id": order_list.client_id,
        "contingency": order_list.contingency,
        "pays": order_list.pays,
        "order_ids": list(order_list.order_ids),
        "created_at_ms": order_list.created_ms,
        "done": order_list.done,
    }


def list_of(record: Mapping[str, Any]) -> OrderList:
    """Return the order list that `record` describes; a journal of an earlier version has OCO lists only."""
    return OrderList(
        list_id=record["order_list_id"],
        account=record["account"],
        symbol=record["symbol"],
        client_id=record["list_client_order_id"],
        order_ids=tuple(record["order_ids"]),
        created_ms=record["created_at_ms"],
        done=record["done"],
        contingency=record["contingency"],
        pays=record.get("pays", False),
    )


def fill_record(fill: AccountFill) -> Record:
    """Return a fill as the journal writes it."""
    rules = LISTED[fill.symbol]
    return {
        "type": "fill",
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "client_order_id": fill.client_id,
        "order_list_id": fill.list_id,
        "account": fill.account,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "price": rules.price_text(fill.price),
        "quantity": rules.quantity_text(fill.lots),
        "quote_quantity": rules.notional_text(fill.price * fill.lots),
        "commission": text_of(fill.commission),
        "commission_asset": fill.commission_asset,
        "maker": fill.is_maker,
        "at_ms": fill.at_ms,
        "place_ms": fill.place_ms,
    }


def fill_of(record: Mapping[str, Any]) -> AccountFill:
    """Return the fill that `record` describes."""
    rules = LISTED[record["symbol"]]
    return AccountFill(
        trade_id=record["trade_id"],
        order_id=record["order_id"],
        client_id=record["client_order_id"],
        list_id=record["order_list_id"],
        account=record["account"],
        symbol=record["symbol"],
        side=Side(record["side"]),
        price=_count(record["price"], rules.tick_units),
        lots=_count(record["quantity"], rules.step_units),
        commission=_count(record["commission"], 1),
        commission_asset=record["commission_asset"],
        is_maker=record["maker"],
        at_ms=record["at_ms"],
        place_ms=record["place_ms"],
    )


def prevented_record(prevented: Prevented) -> Record:
    """Return a prevented match as the journal writes it."""
    rules = LISTED[prevented.symbol]
    return {
        "type": "prevented_match",
        "prevented_match_id": prevented.match_id,
        "account": prevented.account,
        "symbol": prevented.symbol,
        "taker_order_id": prevented.taker_id,
        "maker_order_id": prevented.maker_id,
        "self_trade_prevention": prevented.mode,
        "price": rules.price_text(prevented.price),
        "quantity": rules.quantity_text(prevented.lots),
        "taker_prevented_quantity": rules.quantity_text(prevented.taker_lots),
        "maker_prevented_quantity": rules.quantity_text(prevented.maker_lots),
        "at_ms": prevented.at_ms,
    }


def prevented_of(record: Mapping[str, Any]) -> Prevented:
    """Return the prevented match that `record` describes."""
    rules = LISTED[record["symbol"]]
    return Prevented(
        match_id=record["prevented_match_id"],
        account=record["account"],
        symbol=record["symbol"],
        taker_id=record["taker_order_id"],
        maker_id=record["maker_order_id"],
        mode=record["self_trade_prevention"],
        price=_count(record["price"], rules.tick_units),
        lots=_count(record["quantity"], rules.step_units),
        taker_lots=_count(record["taker_prevented_quantity"], rules.step_units),
        maker_lots=_count(record["maker_prevented_quantity"], rules.step_units),
        at_ms=record["at_ms"],
    )


def balance_record(account: str, asset: str, balance: Balance) -> Record:
    """Return a balance as the journal writes it."""
    free, locked = text_of(balance.free), text_of(balance.locked)
    return {"type": "balance", "account": account, "asset": asset, "free": free, "locked": locked}


def transfer_record(account: str, asset: str, units: int) -> Record:
    """Return a change of a balance that is no trade as the journal writes it."""
    return {"type": "transfer", "account": account, "asset": asset, "amount": text_of(units)}


def queue_record(order_id: int, place: Place) -> Record:
    """Return where an order stands as the journal writes it."""
    ahead, shown, turn = place.ahead_lots, place.shown_lots, place.turn
    return {"type": "queue", "order_id": order_id, "ahead": ahead, "shown": shown, "turn": turn}


def place_of(record: Mapping[str, Any], remaining: int) -> Place:
    """Return where an order with `remaining` lots stands; a journal of an earlier version has no icebergs and turns."""
    return Place(record.get("ahead", 0), record.get("shown", remaining), record.get("turn", 0))


def taken_record(symbol: str, book: OrderBook, *, place_ms: int) -> Record:
    """Return what clients took of the recorded quote in force at `place_ms`."""
    taken = [[side.value, price, lots] for side, levels in book.taken.items() for price, lots in levels.items()]
    return {"type": "taken", "symbol": symbol, "place_ms": place_ms, "levels": taken}


def segment_record(segment: Segment) -> Record:
    """Return a stretch of the market as the journal writes it."""
    speed = str(segment.speed)
    return {"type": "segment", "wall_ms": segment.wall_ms, "place_ms": segment.place_ms, "speed": speed}


def segment_of(record: Mapping[str, Any]) -> Segment:
    """Return the stretch of the market that `record` describes."""
    return Segment(record["wall_ms"], record["place_ms"], Fraction(record["speed"]))


def _count(text: str, unit: int) -> int:
    return units_of(Decimal(text)) // unit
