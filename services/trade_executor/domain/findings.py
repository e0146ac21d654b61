"""Find differences: what the exchange holds, knows and has executed, against our books.

Invariant: what is found is a function of the books and the exchange's answers; it is told the same at every look.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from libs.exchange.orders.port import OrderReport, TradeReport
from libs.trading.market import Side
from libs.trading.money import exact, plain
from services.trade_executor.domain.differences import Difference, Kind, Subject
from services.trade_executor.domain.identifiers import sender_of


@dataclass(frozen=True, slots=True)
class StrayTrade:
    """An execution on our account of an order that is not in our books."""

    trade: TradeReport
    client_order_id: str


def balance_differences(
    account: str, ledger: Mapping[str, Decimal], held: Mapping[str, Decimal], *, quote: str
) -> Sequence[Difference]:
    """Return the assets of which the exchange holds more or less than our books say.

    The quote currency is the whole account's; any other asset belongs to the market in which it is traded for it.
    """
    differences = []
    for asset in sorted({*ledger, *held}):
        expected, found = ledger.get(asset, Decimal(0)), held.get(asset, Decimal(0))
        if expected == found:
            continue
        differences.append(
            Difference(
                account=account,
                kind=Kind.BALANCE,
                subject=asset,
                symbol=None if asset == quote else f"{asset}/{quote}",
                expected=plain(expected),
                found=plain(found),
                changes={asset: _less(found, expected)},
            )
        )
    return differences


def missing_order(account: str, symbol: str, client_order_id: str, status: str) -> Difference:
    """Return that the exchange does not know an order which rests there by our books."""
    return Difference(
        account=account,
        kind=Kind.MISSING_ORDER,
        subject=client_order_id,
        symbol=symbol,
        expected=status,
        found="no such order",
    )


def late_fill(account: str, symbol: str, client_order_id: str, status: str) -> Difference:
    """Return that an order showed up, and was adopted, after its claim had been released."""
    return Difference(
        account=account,
        kind=Kind.LATE_FILL,
        subject=client_order_id,
        symbol=symbol,
        expected="no order: it was given up and its claim released",
        found=f"{status}; adopted",
    )


def restored(account: str, *, events: int, orders: int, unreadable: int, epoch: int) -> Difference:
    """Return that the database was put back to an earlier moment; what it had forgotten has been taken back."""
    left_out = f"; {unreadable} events could not be read" if unreadable else ""
    return Difference(
        account=account,
        kind=Kind.RESTORED,
        subject=f"epoch {epoch}",
        symbol=None,
        expected="a database that knows what was published",
        found=f"an earlier one: {events} events and {orders} orders were taken back{left_out}",
    )


def order_differences(
    account: str, open_orders: Iterable[OrderReport], strays: Iterable[StrayTrade], *, installation: str
) -> Sequence[Difference]:
    """Return the orders of others that matter: what was executed, and whatever claims to come from such a system.

    A person's order that only rests moves nothing and is no difference.
    """
    found: dict[Subject, Difference] = {}
    for report in open_orders:
        kind = _kind_of(report.client_order_id, installation)
        if kind is not Kind.TRADE:
            found[kind, report.client_order_id] = Difference(
                account=account,
                kind=kind,
                subject=report.client_order_id,
                symbol=None,
                expected="no such order",
                found=f"{report.symbol} {report.status}",
                order_id=report.exchange_order_id,
                is_open=True,
            )
    for (symbol, order_id), group in _by_order(strays).items():
        client_order_id = group[0].client_order_id
        kind = _kind_of(client_order_id, installation)
        executed = Difference(
            account=account,
            kind=kind,
            subject=f"{symbol} {order_id}" if kind is Kind.TRADE else client_order_id,
            symbol=symbol if kind is Kind.TRADE else None,
            expected="no such order",
            found=_told(symbol, client_order_id, group),
            changes=movements(group),
            order_id=order_id,
        )
        still = found.get(executed.key)
        found[executed.key] = executed if still is None else replace(executed, is_open=True)
    return list(found.values())


def movements(strays: Iterable[StrayTrade]) -> Mapping[str, Decimal]:
    """Return what executions added to each balance."""
    changes: defaultdict[str, Decimal] = defaultdict(Decimal)
    with exact():
        for stray in strays:
            trade = stray.trade
            base, quote = trade.symbol.split("/")
            sign = 1 if trade.side is Side.BUY else -1
            changes[base] += sign * trade.quantity
            changes[quote] -= sign * trade.quantity * trade.price
            changes[trade.commission_asset or quote] -= trade.commission
    return {asset: delta for asset, delta in changes.items() if delta}


def _less(found: Decimal, expected: Decimal) -> Decimal:
    with exact():
        return found - expected


def _kind_of(client_order_id: str, installation: str) -> Kind:
    sender = sender_of(client_order_id)
    if sender is None:
        return Kind.TRADE
    return Kind.UNRECORDED_ORDER if sender.installation == installation else Kind.FOREIGN_ORDER


def _by_order(strays: Iterable[StrayTrade]) -> Mapping[tuple[str, str], list[StrayTrade]]:
    groups: defaultdict[tuple[str, str], list[StrayTrade]] = defaultdict(list)
    for stray in strays:
        groups[stray.trade.symbol, stray.trade.exchange_order_id].append(stray)
    return groups


def _told(symbol: str, client_order_id: str, strays: Sequence[StrayTrade]) -> str:
    with exact():
        quantity = sum((stray.trade.quantity for stray in strays), Decimal(0))
        amount = sum((stray.trade.quantity * stray.trade.price for stray in strays), Decimal(0))
    side, quote = strays[0].trade.side, symbol.split("/")[1]
    return (
        f"{side} {plain(quantity)} {symbol} for {plain(amount)} {quote} by {client_order_id} "
        f"in {len(strays)} trades up to {max(stray.trade.trade_id for stray in strays)}"
    )
