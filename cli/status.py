"""The state of the whole stack as `trader status` shows it, read in one place for the command and the views."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from cli.output import tell, text_of
from cli.place import Place
from cli.prices import open_redis, permit_age_ms, read_prices
from libs.common.control.commands import option_for
from libs.common.errors import RetryableError
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Connection
from libs.embedded.process import ProcessStatus

FRESH_SIGNAL_S: Final = 5.0
"""A signal that old and unanswered is no longer awaiting anything."""

_STATE: Final = "SELECT state, reason, since FROM trading_state WHERE account = $1"
_STANDSTILL: Final = "SELECT state, wants_active FROM trading_state WHERE account = $1"
_EQUITY: Final = """
    SELECT equity, pnl_today, day_start_equity, positions_open, marked_at FROM equity
    WHERE account = $1 ORDER BY minute_at DESC LIMIT 1
"""
_HALTS: Final = """
    SELECT halt_id, scope_symbol AS symbol, scope_strategy AS strategy, trigger, reason FROM halts
    WHERE account = $1 AND cleared_at IS NULL ORDER BY latched_at, halt_id
"""
_ORDERS_OPEN: Final = """
    SELECT count(*) FROM orders
    WHERE account = $1 AND status IN ('SUBMITTED', 'UNKNOWN', 'ACCEPTED', 'PARTIALLY_FILLED')
"""
_TRADES_TODAY: Final = """
    SELECT count(*) FROM fills WHERE account = $1 AND at >= date_trunc('day', clock_timestamp(), 'UTC')
"""
_SIGNALS_ACTIVE: Final = """
    SELECT count(*) FROM signals AS signal
    WHERE signal_type <> 'HOLD' AND created_at > clock_timestamp() - make_interval(secs => $2)
      AND NOT EXISTS (SELECT FROM risk_decisions AS decision
                      WHERE decision.account = $1 AND decision.signal_id = signal.signal_id)
"""
_SIGNALS_WORKING: Final = """
    SELECT count(DISTINCT signal_id) FROM orders WHERE account = $1 AND role = 'ENTRY' AND NOT final
"""
_FEEDS: Final = """
    SELECT DISTINCT ON (symbol) symbol, close_at FROM candles
    WHERE close_at > clock_timestamp() - interval '1 day' ORDER BY symbol, close_at DESC
"""
_LAG: Final = """
    SELECT key AS topic, sum(value::bigint) AS records
    FROM system_status, jsonb_each_text(lag)
    WHERE heartbeat_at > clock_timestamp() - interval '10 s' GROUP BY key ORDER BY key
"""
_RECENT: Final = "SELECT at, symbol, side, quantity, price FROM fills WHERE account = ANY($1) ORDER BY at DESC LIMIT $2"


async def read_status(
    database: Database,
    *,
    account: str,
    processes: Sequence[ProcessStatus] = (),
    ready_since: datetime | None = None,
) -> dict[str, Any]:
    """Return the documented object of `trader status --json`, without what only Redis knows.

    Args:
        database: The reader's connections.
        account: Whose state.
        processes: The stack's processes; uptime is that of the youngest.
        ready_since: When the stack last became ready, if the caller knows.
    """
    async with database.connection() as connection, connection.transaction(readonly=True):
        state = await connection.fetchrow(_STATE, account)
        equity = await connection.fetchrow(_EQUITY, account)
        now = await connection.fetchval("SELECT clock_timestamp()")
        signals_active = await _count(connection, _SIGNALS_ACTIVE, account, FRESH_SIGNAL_S)
        signals_working = await _count(connection, _SIGNALS_WORKING, account)
        status: dict[str, Any] = {
            "trading_state": state["state"] if state is not None else "UNKNOWN",
            "mode": "paper",
            "since": state["since"] if state is not None else None,
            "reason": state["reason"] if state is not None else "no trading state is known yet",
            "halts": [dict(row) for row in await connection.fetch(_HALTS, account)],
            "equity": equity["equity"] if equity is not None else None,
            "pnl_today": equity["pnl_today"] if equity is not None else None,
            "daily_loss_fraction": _loss_fraction(equity),
            "positions_open": equity["positions_open"] if equity is not None else 0,
            "signals_active": signals_active + signals_working + (equity["positions_open"] if equity else 0),
            "orders_open": await _count(connection, _ORDERS_OPEN, account),
            "trades_today": await _count(connection, _TRADES_TODAY, account),
            "uptime_s": _uptime_s(processes, ready_since, now),
            "permit_age_ms": None,
            "feeds": [
                {"symbol": row["symbol"], "age_ms": max(0, int((now - row["close_at"]).total_seconds() * 1_000))}
                for row in await connection.fetch(_FEEDS)
            ],
            "lag": {row["topic"]: int(row["records"]) for row in await connection.fetch(_LAG)},
        }
    return status


@asynccontextmanager
async def status_reader(place: Place, account: str) -> AsyncIterator[Callable[[], Awaitable[dict[str, Any]]]]:
    """Lend a function that returns the documented object of `trader status --json`."""
    async with place.database() as database, open_redis(place.endpoints["redis"]) as store:

        async def read() -> dict[str, Any]:
            processes = await place.process_rows(database)
            content = await read_status(database, account=account)
            content["uptime_s"] = min((float(str(row["uptime_s"])) for row in processes), default=0.0)
            symbols = [feed["symbol"] for feed in content["feeds"]]
            try:
                content["permit_age_ms"] = await permit_age_ms(store, account)
                prices = await read_prices(store, symbols) if symbols else []
                content["feeds"] = [{"symbol": price["symbol"], "age_ms": price["age_ms"]} for price in prices]
            except RetryableError as error:
                tell(f"warning: {error}")
            return content

        yield read


async def read_recent(database: Database, *, accounts: Sequence[str], limit: int) -> list[dict[str, Any]]:
    """Return the newest fills."""
    async with database.connection() as connection:
        return [dict(row) for row in await connection.fetch(_RECENT, list(accounts), limit)]


async def read_standstill(place: Place, account: str) -> str:
    """Return what keeps an account from opening positions until a person acts; empty: nothing does."""
    async with place.database() as database, database.connection() as connection:
        row = await connection.fetchrow(_STANDSTILL, account)
    if row is None:
        return ""
    return standstill(row["state"], wants_active=row["wants_active"], option=option_for(account))


def standstill(state: str, *, wants_active: bool, option: str = "") -> str:
    """Return what to do about a state that does not end by itself; empty: it does, or nothing stands still."""
    if state == "HALTED":
        return f"HALTED: no entries until `trader resume{option}` and then `trader start{option}`"
    if state == "REDUCING" and not wants_active:
        return f"REDUCING: no entries until `trader start{option}`"
    return ""


def status_line(status: dict[str, Any], *, account: str = "") -> str:
    """Return the status in one line, which begins with the account's name where that is given."""
    return (
        f"{account}{': ' if account else ''}"
        f"{status['trading_state']}  equity {text_of(status['equity']) or '-'}  "
        f"PnL today {text_of(status['pnl_today']) or '-'}  positions {status['positions_open']}  "
        f"open orders {status['orders_open']}  trades today {status['trades_today']}"
    )


def status_pairs(status: dict[str, Any], *, daily_loss_limit_pct: Decimal | None) -> dict[str, Any]:
    """Return the documented object as people read it, under the same names but for the day's loss.

    Args:
        status: The documented object.
        daily_loss_limit_pct: The limit that the loss stands against; None: it cannot be read.
    """
    told: dict[str, Any] = {}
    for name, value in status.items():
        match name:
            case "halts":
                told[name] = "; ".join(_halt(halt) for halt in value) or "none"
            case "feeds":
                told[name] = ", ".join(f"{feed['symbol']} {_age(feed['age_ms'])}" for feed in value)
            case "lag":
                told[name] = value if any(value.values()) else 0
            case "daily_loss_fraction":
                limit = f" of {text_of(daily_loss_limit_pct)} %" if daily_loss_limit_pct is not None else ""
                told["daily_loss"] = f"{value * 100:.2f} %{limit}" if value is not None else None
            case _:
                told[name] = value
    return told


def _halt(halt: dict[str, Any]) -> str:
    scope = " with ".join(part for part in (halt["symbol"], halt["strategy"]) if part) or "everything"
    return f"{halt['halt_id']} {scope}: {halt['reason'] or halt['trigger']}"


def _age(age_ms: int | None) -> str:
    return "unknown" if age_ms is None else f"{age_ms} ms"


async def _count(connection: Connection, query: str, *parameters: Any) -> int:
    return int(await connection.fetchval(query, *parameters))


def _loss_fraction(equity: Any) -> float | None:
    """Return today's loss as a fraction of the day's first equity; 0 for a gain."""
    if equity is None or not equity["day_start_equity"]:
        return None
    return float(max(-equity["pnl_today"] / equity["day_start_equity"], 0))


def _uptime_s(processes: Sequence[ProcessStatus], ready_since: datetime | None, now: datetime) -> float:
    if ready_since is not None:
        return round((now - ready_since).total_seconds(), 1)
    return min((process.uptime_s for process in processes), default=0.0)
