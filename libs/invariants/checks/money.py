"""Money: every fill once, every balance to the last digit, and what was there before is still there (I2, I3)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from libs.invariants.findings import Tally
from libs.invariants.records import BalanceRow, FillRow, Look, MovementRow, Truth, TruthFill, exchange_symbol


def fill_is_recorded_once(look: Look, tally: Tally) -> None:
    """The executor has every execution of our orders."""
    _compare_fills(look, look.books.fills, tally)


def fill_is_booked_once(look: Look, tally: Tally) -> None:
    """The position manager has every execution of our orders."""
    _compare_fills(look, look.books.booked_fills, tally)


def _compare_fills(look: Look, rows: Sequence[FillRow], tally: Tally) -> None:
    counts = Counter(row.key for row in rows)
    by_key = {row.key: row for row in rows}
    for fill in _our_fills(look.before):
        name = _name(fill)
        if tally.expect(counts[fill.key] == 1, name, expected="once", found=f"{counts[fill.key]} times"):
            told, known = _content(fill), _content(by_key[fill.key])
            tally.expect(told == known, name, expected=told, found=known)


def fill_exists_at_exchange(look: Look, tally: Tally) -> None:
    """Neither table has an execution that the exchange does not know."""
    since = datetime.fromtimestamp(look.after.history_from_ms / 1_000, UTC)
    for row in (*look.books.fills, *look.books.booked_fills):
        if row.occurred_at >= since:
            tally.expect(row.key in look.after.fills, _name(row), expected="an execution", found="none at the exchange")


def position_is_the_sum_of_its_fills(look: Look, tally: Tally) -> None:
    """A position is what its fills brought and took."""
    sums: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in look.books.booked_fills:
        sums[row.account, row.symbol] += row.base_change
    for position in look.books.positions:
        expected = sums[position.account, position.symbol]
        name = f"{position.account} {position.symbol}"
        tally.expect(position.quantity == expected, name, expected=expected, found=position.quantity)


def balance_equals_exchange(look: Look, tally: Tally) -> None:
    """What the position manager says is held is what the exchange holds, digit for digit."""
    _compare_balances(look, look.books.balances, look.books.booked_fills, tally)


def executor_ledger_equals_exchange(look: Look, tally: Tally) -> None:
    """What the executor says is held is what the exchange holds, digit for digit."""
    _compare_balances(look, look.books.executor_balances, look.books.fills, tally)


def _compare_balances(look: Look, rows: Sequence[BalanceRow], known: Sequence[FillRow], tally: Tally) -> None:
    """Compare balances with the exchange's, less what is on its way.

    Executions that happened between the first look and the last and are not known here yet are taken off the
    exchange's side. Older ones are not: they are lost.
    """
    keys = {row.key for row in known}
    under_way = [fill for key, fill in look.after.fills.items() if key not in keys and key not in look.before.fills]
    changes = _changes(under_way, look.symbols)
    for row in rows:
        held = look.after.balances.get((row.account, row.asset))
        total = held.total if held is not None else Decimal(0)
        expected = total - changes[row.account, row.asset]
        tally.expect(row.balance == expected, f"{row.account} {row.asset}", expected=expected, found=row.balance)


def ledger_is_the_sum_of_its_entries(look: Look, tally: Tally) -> None:
    """Both ledgers are what was there, plus fills, transfers and accepted differences: nothing else changes them."""
    books = look.books
    for name, rows, fills, movements in (
        ("executor", books.executor_balances, books.fills, books.executor_movements),
        ("position manager", books.balances, books.booked_fills, books.movements),
    ):
        entries = _entries(fills, movements)
        for row in rows:
            expected = row.opening + entries[row.account, row.asset]
            subject = f"{name}'s {row.account} {row.asset}"
            tally.expect(row.balance == expected, subject, expected=expected, found=row.balance)


def _entries(fills: Sequence[FillRow], movements: Sequence[MovementRow]) -> Mapping[tuple[str, str], Decimal]:
    entries: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in fills:
        base, quote = fill.symbol.split("/")
        sign = 1 if fill.side == "BUY" else -1
        entries[fill.account, base] += sign * fill.quantity
        entries[fill.account, quote] -= sign * fill.quantity * fill.price
        entries[fill.account, fill.commission_asset or quote] -= fill.commission
    for movement in movements:
        entries[movement.account, movement.asset] += movement.delta
    return entries


def coins_from_before_are_untouched(look: Look, tally: Tally) -> None:
    """What is held besides the system's positions is what was there before its first fill, and what came since.

    Only fees that the exchange takes in another asset than the traded ones, withdrawals and accepted differences may
    have lowered it.
    """
    positions = {(row.account, _base(row.symbol)): row.quantity for row in look.books.positions}
    quotes = {symbol.split("/")[1] for symbol in look.symbols}
    fees: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in look.books.booked_fills:
        if fill.commission_asset not in fill.symbol.split("/"):
            fees[fill.account, fill.commission_asset] += fill.commission
    for movement in look.books.movements:
        fees[movement.account, movement.asset] -= movement.delta
    for row in look.books.balances:
        if row.asset in quotes:
            continue
        key = (row.account, row.asset)
        left = row.balance - positions.get(key, Decimal(0))
        expected = row.opening - fees[key]
        tally.expect(left == expected, f"{row.account} {row.asset}", expected=expected, found=left)


def locked_balance_is_explained(look: Look, tally: Tally) -> None:
    """What the exchange keeps locked is what the open orders of the account need: no order is forgotten there."""
    needed: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    known = {exchange_symbol(symbol): symbol.split("/") for symbol in look.symbols}
    for order in look.after.orders.values():
        if order.is_open and order.symbol in known:
            base, quote = known[order.symbol]
            needed[order.account, quote if order.side == "BUY" else base] += order.locked
    assets = {asset for parts in known.values() for asset in parts}
    for (account, asset), balance in look.after.balances.items():
        if account in look.books.accounts and asset in assets:
            expected = needed[account, asset]
            tally.expect(balance.locked == expected, f"{account} {asset}", expected=expected, found=balance.locked)


def _our_fills(truth: Truth) -> Iterable[TruthFill]:
    for fill in truth.fills.values():
        order = truth.orders.get(fill.order_id)
        if order is not None and order.is_ours:
            yield fill


def _changes(fills: Iterable[TruthFill], symbols: Sequence[str]) -> Mapping[tuple[str, str], Decimal]:
    known = {exchange_symbol(symbol): symbol.split("/") for symbol in symbols}
    changes: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for fill in fills:
        if fill.symbol not in known:
            continue
        base, quote = known[fill.symbol]
        sign = 1 if fill.side == "BUY" else -1
        changes[fill.account, base] += sign * fill.quantity
        changes[fill.account, quote] -= sign * fill.quantity * fill.price
        changes[fill.account, fill.commission_asset] -= fill.commission
    return changes


def _content(fill: TruthFill | FillRow) -> str:
    return (
        f"{fill.side} {fill.quantity.normalize():f} at {fill.price.normalize():f}, "
        f"commission {fill.commission.normalize():f} {fill.commission_asset}"
    )


def _name(fill: TruthFill | FillRow) -> str:
    account, symbol, trade_id, order_id = fill.key
    return f"{account} {symbol} trade {trade_id} order {order_id}"


def _base(symbol: str) -> str:
    return symbol.split("/", maxsplit=1)[0]
