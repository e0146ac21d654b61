"""`trader prices`, `signals`, `orders`, `fills`, `positions`, `performance`: the read models."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.durations import parse_since
from cli.filters import checked_state
from cli.options import DEFAULT_DATA_DIR, Account, AsJson, DataDir, Limit, Since, Symbol
from cli.output import emit_rows
from cli.place import Place, find_place, run
from cli.scope import check_scope
from libs.common.clock import SystemClock

State = Annotated[str | None, typer.Option("--state", help="Only this state, e.g. FILLED.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A view of the database and how it is listed.

    Attributes:
        name: The command, the JSON key and the view.
        columns: What is shown, named as in the interface.
        time: The column that `--since` and the order go by.
        state: The column that `--state` filters, if there is one.
        account: The view has an `account` column.
        symbol: The view has a `symbol` column.
        condition: What else must hold.
    """

    name: str
    columns: tuple[str, ...]
    time: str
    state: str | None = None
    account: bool = True
    symbol: bool = True
    condition: str = "true"

    def query(self) -> str:
        """Return the SQL: parameters are account, symbol, state, since and limit (NULL: no restriction)."""
        conditions = [self.condition, f"($4::timestamptz IS NULL OR {self.time} >= $4)"]
        conditions.append("($1::text IS NULL OR account = $1)" if self.account else "$1::text IS NOT DISTINCT FROM $1")
        conditions.append("($2::text IS NULL OR symbol = $2)" if self.symbol else "$2::text IS NULL")
        state = f"upper({self.state})" if self.state else "$3::text"
        conditions.append(f"($3::text IS NULL OR {state} = $3)")
        return (
            f"SELECT * FROM {self.name} WHERE {' AND '.join(conditions)} "  # noqa: S608 - our own constants
            f"ORDER BY {self.time} DESC LIMIT $5"
        )


SIGNALS: Final = Listing(
    name="signals",
    columns=(
        "created_at",
        "symbol",
        "signal_type",
        "strategy",
        "quality_score",
        "confidence_score",
        "entry_price",
        "stop_loss",
        "take_profit",
        "executed",
        "execution_price",
        "executed_at",
        "signal_id",
    ),
    time="created_at",
    state="signal_type",
    account=False,
)
ORDERS: Final = Listing(
    name="orders",
    columns=(
        "client_order_id",
        "exchange_order_id",
        "account",
        "symbol",
        "side",
        "type",
        "quantity",
        "price",
        "status",
        "filled_quantity",
        "created_at",
        "role",
        "reason",
    ),
    time="created_at",
    state="status",
)
FILLS: Final = Listing(
    name="fills",
    columns=(
        "trade_id",
        "client_order_id",
        "account",
        "symbol",
        "side",
        "quantity",
        "price",
        "commission",
        "commission_asset",
        "at",
        "role",
    ),
    time="at",
)
POSITIONS: Final = Listing(
    name="positions",
    columns=(
        "account",
        "symbol",
        "quantity",
        "entry_price",
        "unrealised_pnl",
        "stop_loss",
        "take_profit",
        "realised_pnl",
        "round_trips",
    ),
    time="updated_at",
    condition="is_open",
)
ALERTS: Final = Listing(
    name="alerts",
    columns=("occurred_at", "alert_type", "severity", "component", "account", "symbol", "message"),
    time="occurred_at",
    state="alert_type",
)
PERFORMANCE: Final = Listing(
    name="performance",
    columns=(
        "account",
        "day",
        "equity_start",
        "equity_end",
        "pnl",
        "equity_high",
        "equity_low",
        "fills",
        "turnover",
        "round_trips",
        "wins",
    ),
    time="day::timestamptz",
    symbol=False,
)
REFUSALS: Final = Listing(
    name="refusals",
    columns=("decided_at", "account", "symbol", "side", "role", "reason", "limit", "observed", "signal_id"),
    time="decided_at",
    state="reason",
)


def prices(symbol: Symbol = None, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show the newest prices and how old they are."""
    place = find_place(data_dir)
    check_scope(place, symbol=symbol)
    rows = run(_prices(place, symbol))
    emit_rows("prices", rows, ("symbol", "bid", "ask", "last", "at", "age_ms"), as_json=as_json)


def signals(
    symbol: Symbol = None,
    state: State = None,
    since: Since = None,
    limit: Limit = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """List signals: BUY and SELL wishes and recorded holds."""
    _list(SIGNALS, data_dir, None, symbol, state, since, limit, as_json=as_json)


def orders(
    symbol: Symbol = None,
    state: State = None,
    since: Since = None,
    limit: Limit = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """List orders, newest first."""
    _list(ORDERS, data_dir, account, symbol, state, since, limit, as_json=as_json)


def fills(
    symbol: Symbol = None,
    since: Since = None,
    limit: Limit = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """List executions, newest first."""
    _list(FILLS, data_dir, account, symbol, None, since, limit, as_json=as_json)


def positions(
    symbol: Symbol = None,
    limit: Limit = 0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """List open positions; what was realised stands in `trader performance`."""
    _list(POSITIONS, data_dir, account, symbol, None, None, limit, as_json=as_json)


def performance(
    limit: Limit = 30, data_dir: DataDir = DEFAULT_DATA_DIR, account: Account = "main", as_json: AsJson = False
) -> None:
    """Show each UTC day: equity, PnL, turnover, round trips. No figure promises another day like it."""
    _list(PERFORMANCE, data_dir, account, None, None, None, limit, as_json=as_json)


def refusals(
    symbol: Symbol = None,
    state: State = None,
    since: Since = None,
    limit: Limit = 20,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    account: Account = "main",
    as_json: AsJson = False,
) -> None:
    """List signals that were not approved, and the limit that stood against each."""
    _list(REFUSALS, data_dir, account, symbol, state, since, limit, as_json=as_json)


def _list(
    listing: Listing,
    data_dir: Path,
    account: str | None,
    symbol: str | None,
    state: str | None,
    since: str | None,
    limit: int,
    *,
    as_json: bool,
) -> None:
    moment = parse_since(since, now=SystemClock().now())
    wanted = checked_state(listing.name, state)
    place = find_place(data_dir)
    check_scope(place, account=account, symbol=symbol)
    rows = run(read_listing(place, listing, (account, symbol, wanted, moment, limit or None)))
    emit_rows(listing.name, rows, listing.columns, as_json=as_json)


async def read_listing(place: Place, listing: Listing, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return the rows; the parameters are those of the listing's query."""
    async with place.database() as database, database.connection() as connection:
        return [dict(row) for row in await connection.fetch(listing.query(), *parameters)]


async def _prices(place: Place, symbol: str | None) -> list[dict[str, Any]]:
    from cli.prices import open_redis, read_prices  # noqa: PLC0415 - redis-py costs 100 ms

    symbols = (symbol,) if symbol else place.configuration().symbols
    async with open_redis(place.endpoints["redis"]) as store:
        return await read_prices(store, symbols)
