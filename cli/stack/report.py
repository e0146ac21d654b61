"""What happened in a run, as `--report` writes it: counts, latencies, equity, restarts, and whether all of it holds."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cli.checking import check_audit, check_stack
from cli.stack.composition import Composition
from libs.common.clock import SystemClock
from libs.common.messaging.kafka import Kafka
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Connection
from libs.embedded.stack import Stack

SETTLED_S: Final = 2.0
"""By then what was signalled before the end has been answered, and the audit recorder has written both."""

_EVENTS: Final = """
    SELECT topic, sum(offset_last - offset_first + 1) AS count FROM audit WHERE recorded_at >= $1
    GROUP BY topic ORDER BY topic
"""
_SIGNALS: Final = "SELECT count(*) FROM signals WHERE created_at BETWEEN $1 AND $2 AND signal_type <> 'HOLD'"
_APPROVED: Final = """
    SELECT count(*) FROM risk_decisions JOIN signals USING (signal_id)
    WHERE created_at BETWEEN $1 AND $2 AND approved
"""
_REFUSED: Final = """
    SELECT reason, count(*) AS count FROM risk_decisions JOIN signals USING (signal_id)
    WHERE created_at BETWEEN $1 AND $2 AND NOT approved
    GROUP BY reason ORDER BY count DESC, reason
"""
_ORDERS: Final = "SELECT count(*) FROM orders WHERE created_at >= $1"
_FILLS: Final = "SELECT count(*), min(recorded_at) AS first_at FROM fills WHERE recorded_at >= $1"
_ROUND_TRIPS: Final = "SELECT count(*) FROM round_trips WHERE closed_at >= $1"
_TRIPS_BY_SYMBOL: Final = """
    SELECT symbol, count(*) AS count FROM round_trips WHERE closed_at >= $1 GROUP BY symbol ORDER BY symbol
"""
_EQUITY: Final = """
    (SELECT 1 AS place, equity FROM equity WHERE account = $1 AND marked_at >= $2 ORDER BY minute_at LIMIT 1)
    UNION ALL
    (SELECT 2, equity FROM equity WHERE account = $1 ORDER BY minute_at DESC LIMIT 1)
    ORDER BY place
"""
_LATENCIES: Final = """
    SELECT extract(epoch FROM signal.recorded_at - orders.origin_at)::float8 AS tick_to_signal,
           extract(epoch FROM orders.requested_at - signal.recorded_at)::float8 AS signal_to_order,
           extract(epoch FROM orders.requested_at - orders.origin_at)::float8 AS tick_to_order,
           extract(epoch FROM fill.recorded_at - orders.requested_at)::float8 AS order_to_fill
    FROM orders
    LEFT JOIN LATERAL (
        SELECT recorded_at FROM audit
        WHERE audit.correlation_id = orders.correlation_id AND topic = 'signals' AND kind = 'EVENT'
          AND topic NOT IN ('heartbeats', 'logs', 'market.status', 'account.equity')
        ORDER BY recorded_at LIMIT 1
    ) AS signal ON true
    LEFT JOIN LATERAL (
        SELECT min(recorded_at) AS recorded_at FROM fills WHERE fills.intent_id = orders.intent_id
    ) AS fill ON true
    WHERE orders.role = 'ENTRY' AND orders.requested_at >= $1
"""
_STAGES: Final = ("tick_to_signal", "signal_to_order", "tick_to_order", "order_to_fill")


class RunReporter:
    """Reports what happened since it was made."""

    def __init__(self) -> None:
        self._began_at = SystemClock().now()

    async def report(self, stack: Stack, composition: Composition) -> dict[str, Any]:
        """Return the documented report; the stores still run."""
        processes = stack.snapshot()
        now = SystemClock().now()
        endpoints = composition.endpoints()
        database = await Database.connect(endpoints["postgres"], application="trader", connections_max=2)
        try:
            await asyncio.sleep(SETTLED_S)
            async with database.connection() as connection:
                accounts = composition.configuration.exchange.accounts
                content = await self._happened(connection, accounts, until=now)
            audit = await check_audit(database, stack.directory)
            invariants = await check_stack(
                database,
                stack.directory,
                symbols=composition.configuration.symbols,
                kafka=Kafka(stack.addresses.kafka, client_id="trader"),
            )
        finally:
            await database.close()
        first_fill_at = content.pop("first_fill_at")
        ready_s = stack.time_to_ready_s
        return {
            "duration_s": round((now - self._began_at).total_seconds(), 1),
            "time_to_ready_s": ready_s,
            "time_to_first_fill_s": _seconds(self._began_at, first_fill_at),
            **content,
            "restarts": {process.name: process.restarts for process in processes},
            "audit": audit,
            "invariants": invariants,
        }

    async def _happened(self, connection: Connection, accounts: Sequence[str], *, until: datetime) -> dict[str, Any]:
        since = self._began_at
        first_fill = await connection.fetchrow(_FILLS, since)
        equity: dict[str, list[str | None]] = {
            account: [_text(row["equity"]) for row in await connection.fetch(_EQUITY, account, since)] or [None]
            for account in accounts
        }
        latencies = await connection.fetch(_LATENCIES, since)
        return {
            "events": {row["topic"]: int(row["count"]) for row in await connection.fetch(_EVENTS, since)},
            "signals": await connection.fetchval(_SIGNALS, since, until),
            "approved": await connection.fetchval(_APPROVED, since, until),
            "refused": {row["reason"]: row["count"] for row in await connection.fetch(_REFUSED, since, until)},
            "orders": await connection.fetchval(_ORDERS, since),
            "fills": first_fill["count"] if first_fill else 0,
            "first_fill_at": first_fill["first_at"] if first_fill else None,
            "round_trips": await connection.fetchval(_ROUND_TRIPS, since),
            "round_trips_by_symbol": {
                row["symbol"]: row["count"] for row in await connection.fetch(_TRIPS_BY_SYMBOL, since)
            },
            "equity_start": equity[accounts[0]][0],
            "equity_end": equity[accounts[0]][-1],
            "accounts": {
                account: {"equity_start": known[0], "equity_end": known[-1]} for account, known in equity.items()
            },
            "latency_ms": {stage: _quantiles(row[stage] for row in latencies) for stage in _STAGES},
        }


def _quantiles(seconds: Iterable[float | None]) -> dict[str, float | int | None]:
    """Return p50, p99, the maximum and the count, in milliseconds (nearest rank)."""
    values = sorted(value * 1_000 for value in seconds if value is not None)
    return {
        "p50": _rank(values, 0.50),
        "p99": _rank(values, 0.99),
        "max": round(values[-1], 3) if values else None,
        "count": len(values),
    }


def _rank(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    return round(values[min(len(values) - 1, int(share * len(values)))], 3)


def _seconds(since: datetime, until: datetime | None) -> float | None:
    return round((until - since) / timedelta(seconds=1), 1) if until is not None else None


def _text(value: Decimal) -> str:
    return f"{value:f}"
