"""The read models' tables, written in bulk; each statement takes its rows as arrays, one for each column."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from libs.common.contracts.events import ConfigurationChanged
from libs.common.contracts.vocabulary import TradingState
from libs.common.storage.transaction import Transaction
from services.audit_recorder.adapters.rows import (
    candle_row,
    configuration_rows,
    execution_row,
    log_row,
    performance_row,
    signal_row,
    status_row,
)
from services.audit_recorder.domain.read_models import ReadModelChanges

_LOGS: Final = """
    INSERT INTO auto_trading_logs (event_id, "timestamp", log_level, component, instance, message, data)
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    ON CONFLICT DO NOTHING
"""
_SIGNALS: Final = """
    INSERT INTO ai_signals_log (signal_id, symbol, signal_type, role, strategy, account, confidence_score,
                                quality_score, entry_price, stop_loss, take_profit, reasons, correlation_id, created_at)
    SELECT signal_id, symbol, signal_type, role, strategy, account, confidence_score, quality_score, entry_price,
           stop_loss, take_profit, reasons::jsonb, correlation_id, created_at
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::integer[],
                $9::numeric[], $10::numeric[], $11::numeric[], $12::text[], $13::uuid[], $14::timestamptz[])
        AS signal (signal_id, symbol, signal_type, role, strategy, account, confidence_score, quality_score,
                   entry_price, stop_loss, take_profit, reasons, correlation_id, created_at)
    WHERE NOT EXISTS (SELECT FROM ai_signals_log AS known WHERE known.signal_id = signal.signal_id)
    ON CONFLICT DO NOTHING
"""
_EXECUTIONS: Final = """
    INSERT INTO signal_executions AS known (intent_id, signal_id, account, revision, filled_quantity, filled_amount,
                                            executed_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::numeric[], $6::numeric[],
                         $7::timestamptz[])
    ON CONFLICT (intent_id) DO UPDATE SET
        revision = excluded.revision,
        filled_quantity = excluded.filled_quantity,
        filled_amount = excluded.filled_amount,
        executed_at = least(known.executed_at, excluded.executed_at)
    WHERE known.revision < excluded.revision
"""
_MARK_EXECUTED: Final = """
    UPDATE ai_signals_log AS signal
    SET executed = TRUE, execution_price = total.amount / total.quantity, executed_at = total.executed_at
    FROM (
        SELECT signal_id, sum(filled_quantity) AS quantity, sum(filled_amount) AS amount,
               min(executed_at) AS executed_at
        FROM signal_executions WHERE signal_id = ANY ($1::text[]) AND filled_quantity > 0 GROUP BY signal_id
    ) AS total
    WHERE signal.signal_id = total.signal_id
"""
_REFERENCES: Final = """
    INSERT INTO audit_references (reference, root_intent_id, correlation_id)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING
"""
_STATUS_COLUMNS: Final = "ready, sequence, handled, lag, lag_records, loop_lag_ms, configuration_hash, started_at"
_STATUS_VALUES: Final = """
    ready, sequence, handled, lag::jsonb, lag_records, loop_lag_ms, configuration_hash, started_at
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::boolean[], $5::bigint[], $6::bigint[], $7::text[],
                $8::bigint[], $9::numeric[], $10::text[], $11::timestamptz[])
        AS beat (component, instance, at, ready, sequence, handled, lag, lag_records, loop_lag_ms,
                 configuration_hash, started_at)
"""
_STATUS: Final = f"""
    INSERT INTO system_status AS current (component, instance, heartbeat_at, {_STATUS_COLUMNS})
    SELECT component, instance, at, {_STATUS_VALUES}
    ON CONFLICT (component, instance) DO UPDATE SET
        heartbeat_at = excluded.heartbeat_at, ready = excluded.ready, sequence = excluded.sequence,
        handled = excluded.handled, lag = excluded.lag, lag_records = excluded.lag_records,
        loop_lag_ms = excluded.loop_lag_ms, configuration_hash = excluded.configuration_hash,
        started_at = excluded.started_at
    WHERE current.heartbeat_at <= excluded.heartbeat_at
"""
_STATUS_MINUTES: Final = f"""
    INSERT INTO system_status_history AS known (component, instance, minute_at, {_STATUS_COLUMNS})
    SELECT component, instance, date_trunc('minute', at), {_STATUS_VALUES}
    ON CONFLICT (component, instance, minute_at) DO UPDATE SET
        ready = known.ready AND excluded.ready, sequence = excluded.sequence, handled = excluded.handled,
        lag = excluded.lag, lag_records = greatest(known.lag_records, excluded.lag_records),
        loop_lag_ms = greatest(known.loop_lag_ms, excluded.loop_lag_ms)
"""
_FORGET_PREDECESSORS: Final = """
    DELETE FROM system_status AS predecessor USING system_status AS successor
    WHERE successor.component = ANY ($1::text[]) AND predecessor.component = successor.component
      AND predecessor.started_at < successor.started_at
      AND predecessor.heartbeat_at < successor.heartbeat_at - interval '1 minute'
"""
_CANDLES: Final = """
    INSERT INTO candles AS known (symbol, interval_s, open_at, close_at, open, high, low, close, volume, trades,
                                  partial, backfilled)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::numeric[], $6::numeric[],
                         $7::numeric[], $8::numeric[], $9::numeric[], $10::bigint[], $11::boolean[], $12::boolean[])
    ON CONFLICT (symbol, interval_s, open_at) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, trades = excluded.trades, partial = excluded.partial,
        backfilled = excluded.backfilled
    WHERE known.partial
"""
_PERFORMANCE: Final = """
    INSERT INTO performance_data (account, minute_at, marked_at, equity, confirmed, day, day_start_equity, peak_24h,
                                  pnl_today, realised_pnl, unrealised_pnl, quote_free, positions_open)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::numeric[], $5::boolean[], $6::date[],
                         $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::numeric[],
                         $13::integer[])
    ON CONFLICT (account, minute_at) DO UPDATE SET
        marked_at = excluded.marked_at, equity = excluded.equity, confirmed = excluded.confirmed,
        day_start_equity = excluded.day_start_equity, peak_24h = excluded.peak_24h, pnl_today = excluded.pnl_today,
        realised_pnl = excluded.realised_pnl, unrealised_pnl = excluded.unrealised_pnl,
        quote_free = excluded.quote_free, positions_open = excluded.positions_open
"""
_STATES: Final = """
    UPDATE auto_trading_config SET is_enabled = changed.is_enabled, updated_at = changed.at
    FROM unnest($1::text[], $2::boolean[], $3::timestamptz[]) AS changed (account, is_enabled, at)
    WHERE auto_trading_config.id =
        (SELECT max(id) FROM auto_trading_config AS current WHERE current.account = changed.account)
"""
_CONFIGURATION: Final = """
    INSERT INTO auto_trading_config (user_id, account, is_enabled, trading_mode, max_daily_loss_pct, max_positions,
                                     trading_interval, symbols, configuration_version, configuration_hash,
                                     configuration, created_at, updated_at)
    SELECT $1, $2, coalesce(current.is_enabled, FALSE), $3, $4, $5, $6, $7, $8, $9, $10, $11, $11
    FROM (SELECT 1) AS one LEFT JOIN (
        SELECT is_enabled, configuration_version FROM auto_trading_config WHERE account = $2 ORDER BY id DESC LIMIT 1
    ) AS current ON TRUE
    WHERE coalesce(current.configuration_version, 0) < $8
"""


class PostgresReadModels:
    """Writes the rows of read models within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def save(self, changes: ReadModelChanges) -> None:
        """Write the changed rows; writing them again changes nothing."""
        await self._write(_LOGS, (log_row(envelope) for envelope in changes.logs.values()))
        await self._write(_SIGNALS, (signal_row(envelope) for envelope in changes.signals.values()))
        await self._write(_EXECUTIONS, (execution_row(event) for event in changes.executions.values()))
        touched = {*changes.signals, *(event.signal_id for event in changes.executions.values())}
        if touched:
            await self._transaction.execute(_MARK_EXECUTED, sorted(touched))
        await self._write(_REFERENCES, sorted(changes.references, key=str))
        await self._write(_STATUS, (status_row(beat) for beat in changes.statuses.values()))
        await self._write(_STATUS_MINUTES, (status_row(beat) for beat in changes.status_minutes.values()))
        if changes.statuses:
            await self._transaction.execute(
                _FORGET_PREDECESSORS, sorted({component for component, _ in changes.statuses})
            )
        await self._write(_CANDLES, (candle_row(event) for event in changes.candles.values()))
        await self._write(
            _PERFORMANCE, (performance_row(event, minute.minute_at) for minute, event in changes.performance.items())
        )
        for version in sorted(changes.configurations):
            await self._save_configuration(changes.configurations[version])
        await self._write(
            _STATES,
            (
                (event.account, event.state is TradingState.ACTIVE, event.occurred_at)
                for event in changes.states.values()
            ),
        )

    async def _save_configuration(self, changed: ConfigurationChanged) -> None:
        for row in configuration_rows(changed):
            await self._transaction.execute(_CONFIGURATION, *row)

    async def _write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        if columns:
            await self._transaction.execute(statement, *columns)
