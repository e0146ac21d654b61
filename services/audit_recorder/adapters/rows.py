"""Events as rows of the read models, in the order of their statements' columns."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.configuration import InvalidConfigurationError
from libs.common.configuration.changes import told_configuration
from libs.common.contracts.events import (
    CandleClosed,
    ConfigurationChanged,
    EquityMarked,
    HeartbeatSent,
    OrderUpdated,
    SignalGenerated,
)
from libs.common.storage.postgres import dump_json
from services.audit_recorder.domain.read_models import LogEnvelope, SignalEnvelope


def log_row(envelope: LogEnvelope) -> tuple[Any, ...]:
    """Return a row of `auto_trading_logs`."""
    event = envelope.event
    return (
        envelope.event_id,
        event.occurred_at,
        event.level,
        event.component,
        event.instance,
        storable(event.message),
        storable(dump_json(event.fields)),
    )


def signal_row(envelope: SignalEnvelope) -> tuple[Any, ...]:
    """Return a row of `ai_signals_log`; a decision to hold has no order, its price is the candle's close."""
    event = envelope.event
    wish = event if isinstance(event, SignalGenerated) else None
    return (
        event.natural_key,
        event.symbol,
        wish.side.value if wish else "HOLD",
        wish.role.value if wish else None,
        event.strategy,
        wish.account if wish else None,
        wish.confidence_score if wish else None,
        event.quality_score,
        event.reference_price if isinstance(event, SignalGenerated) else event.close,
        wish.stop_loss if wish else None,
        wish.take_profit if wish else None,
        storable(dump_json(event.reasons)),
        envelope.correlation_id or envelope.event_id,
        event.occurred_at,
    )


def execution_row(event: OrderUpdated) -> tuple[Any, ...]:
    """Return a row of `signal_executions`: absolute values, which a newer revision replaces."""
    return (
        event.intent_id,
        event.signal_id,
        event.account,
        event.revision,
        event.filled_quantity,
        event.filled_amount,
        event.occurred_at if event.filled_quantity > 0 else None,
    )


def status_row(event: HeartbeatSent) -> tuple[Any, ...]:
    """Return a row of `system_status` and of its history."""
    return (
        event.component,
        event.instance,
        event.occurred_at,
        event.ready,
        event.sequence,
        event.handled,
        storable(dump_json(event.lag)),
        sum(event.lag.values()),
        Decimal(repr(event.loop_lag_ms)).quantize(Decimal("0.001")),
        event.configuration_hash,
        event.started_at,
    )


def candle_row(event: CandleClosed) -> tuple[Any, ...]:
    """Return a row of `candles`."""
    return (
        event.symbol,
        event.interval_s,
        event.open_at,
        event.close_at,
        event.open,
        event.high,
        event.low,
        event.close,
        event.volume,
        event.trades,
        event.partial,
        event.backfilled,
    )


def performance_row(event: EquityMarked, minute_at: datetime) -> tuple[Any, ...]:
    """Return a row of `performance_data`."""
    return (
        event.account,
        minute_at,
        event.occurred_at,
        event.equity,
        event.confirmed,
        event.day,
        event.day_start_equity,
        event.peak_24h,
        event.pnl_today,
        event.realised_pnl,
        event.unrealised_pnl,
        event.quote_free,
        event.positions_open,
    )


def configuration_rows(event: ConfigurationChanged) -> list[tuple[Any, ...]]:
    """Return the rows of `auto_trading_config`, one an account, each as it holds for it; accounts are users from 1.

    A version that another version of the program wrote, and this one cannot read, has none: the audit log has it.
    """
    try:
        configuration = told_configuration(event.configuration, event.origins, version=event.version).configuration
    except InvalidConfigurationError:
        return []
    return [
        (
            user_id,
            account,
            own.engine.trading_mode,
            own.risk_management.daily_loss_limit_pct,
            own.engine.max_concurrent_positions,
            own.engine.trading_interval,
            dump_json(own.symbols),
            event.version,
            event.hash,
            own.model_dump(mode="json"),
            event.occurred_at,
        )
        for user_id, account in enumerate(configuration.exchange.accounts, start=1)
        for own in [configuration.for_account(account)]
    ]


def storable(text: str) -> str:
    """Postgres holds every character but NUL, also in jsonb's escaped form."""
    return text.replace("\0", "\ufffd").replace("\\u0000", "\\ufffd")
