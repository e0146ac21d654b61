"""Every metric in one place, by subject; dashboards and alert rules may name only what stands here.

Names end in their unit; labels have few, known values. Beside them the client library's own `process_…` are served:
when the process started, its memory, its processor time.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY: Final = CollectorRegistry(auto_describe=True)
PROCESS: Final = ProcessCollector(registry=REGISTRY)

_LATENCY_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Messaging
MESSAGES_HANDLED: Final = Counter(
    "trader_messages_handled_total", "Messages handled, by topic and type.", ["topic", "type"], registry=REGISTRY
)
MESSAGES_PUBLISHED: Final = Counter(
    "trader_messages_published_total", "Messages acknowledged by the broker, by topic.", ["topic"], registry=REGISTRY
)
MESSAGES_DEAD_LETTERED: Final = Counter(
    "trader_messages_dead_lettered_total", "Poison messages, by topic.", ["topic"], registry=REGISTRY
)
MESSAGES_CONFLATED: Final = Counter(
    "trader_messages_conflated_total", "Market data dropped in favour of newer, by topic.", ["topic"], registry=REGISTRY
)
MESSAGES_RETRIED: Final = Counter(
    "trader_messages_retried_total",
    "Attempts repeated after a retryable error, by topic.",
    ["topic"],
    registry=REGISTRY,
)
HANDLING_SECONDS: Final = Histogram(
    "trader_handling_seconds",
    "Time to handle a message, its transaction included.",
    ["topic"],
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
EVENT_AGE_SECONDS: Final = Histogram(
    "trader_event_age_seconds",
    "Age of a message when it is handled, since it was recorded.",
    ["topic"],
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
CONSUMER_LAG: Final = Gauge(
    "trader_consumer_lag_records", "Records still to read, by topic.", ["topic"], registry=REGISTRY
)
OUTBOX_RELAYED: Final = Counter("trader_outbox_relayed_total", "Outbox rows published.", registry=REGISTRY)
OUTBOX_OLDEST_SECONDS: Final = Gauge(
    "trader_outbox_oldest_seconds", "Age of the oldest unpublished outbox row.", registry=REGISTRY
)
CONSUMERS_REBUILT: Final = Counter(
    "trader_consumers_rebuilt_total", "Consumers rebuilt because they went silent.", registry=REGISTRY
)

# Process
LOOP_LAG_SECONDS: Final = Gauge(
    "trader_loop_lag_seconds", "How late the event loop turned in the last second, at worst.", registry=REGISTRY
)
READY: Final = Gauge("trader_ready", "1 when the process can do its work now.", registry=REGISTRY)
OWNERSHIP_EPOCH: Final = Gauge(
    "trader_ownership_epoch", "Epoch held, 0 while standing by.", ["role"], registry=REGISTRY
)
LOGS_SUPPRESSED: Final = Counter(
    "trader_logs_suppressed_total",
    "Log lines of libraries held back by their rate limit.",
    ["logger"],
    registry=REGISTRY,
)
LOGS_DROPPED: Final = Counter(
    "trader_logs_dropped_total", "Log lines not forwarded to the logs topic: its buffer was full.", registry=REGISTRY
)
DISK_FREE_BYTES: Final = Gauge(
    "trader_disk_free_bytes", "Space left on the disk of the halt directory.", registry=REGISTRY
)
DISK_SIZE_BYTES: Final = Gauge("trader_disk_size_bytes", "Size of the disk of the halt directory.", registry=REGISTRY)
BACKUP_TIMESTAMP_SECONDS: Final = Gauge(
    "trader_backup_timestamp_seconds",
    "When a deployment's changes were last received, a copy was made, and one was verified.",
    ["of"],
    registry=REGISTRY,
)
DATABASE_BYTES: Final = Gauge(
    "trader_database_bytes", "Size of the tables that grow, by name, and of the others.", ["tables"], registry=REGISTRY
)

# Market data
MARKET_TICKS: Final = Counter("trader_market_ticks_total", "Ticks received, by kind.", ["kind"], registry=REGISTRY)
MARKET_FRAMES_REFUSED: Final = Counter(
    "trader_market_frames_refused_total",
    "Frames of the exchange that were malformed or implausible, by reason.",
    ["reason"],
    registry=REGISTRY,
)
MARKET_FRAMES_DROPPED: Final = Counter(
    "trader_market_frames_dropped_total", "Frames dropped because more arrived than could be read.", registry=REGISTRY
)
MARKET_CONNECTIONS: Final = Counter(
    "trader_market_connections_total", "Connections to the market streams that were opened.", registry=REGISTRY
)
MARKET_TRADES_MISSED: Final = Counter(
    "trader_market_trades_missed_total", "Trades that the exchange numbered and we never saw.", registry=REGISTRY
)
MARKET_TRADES_BACKFILLED: Final = Counter(
    "trader_market_trades_backfilled_total",
    "Trades that the stream missed and that were read afterwards.",
    registry=REGISTRY,
)
MARKET_TRADES_LATE: Final = Counter(
    "trader_market_trades_late_total", "Trades that came after their candle had closed.", registry=REGISTRY
)
MARKET_CANDLES: Final = Counter(
    "trader_market_candles_total", "Candles published: streamed, partial or backfilled.", ["kind"], registry=REGISTRY
)
MARKET_DATA_AGE_SECONDS: Final = Gauge(
    "trader_market_data_age_seconds", "Age of the newest trade or quote.", ["symbol"], registry=REGISTRY
)
PRICES_UNWRITTEN: Final = Counter(
    "trader_prices_unwritten_total", "Times that Redis did not take the latest prices.", registry=REGISTRY
)

# Exchange
EXCHANGE_USED_WEIGHT: Final = Gauge(
    "trader_exchange_used_weight", "Address-wide request weight of this minute, as last reported.", registry=REGISTRY
)
EXCHANGE_CLOCK_SKEW_SECONDS: Final = Gauge(
    "trader_exchange_clock_skew_seconds", "The exchange's clock minus ours.", registry=REGISTRY
)
EXCHANGE_CLOCK_ERROR_SECONDS: Final = Gauge(
    "trader_exchange_clock_error_seconds",
    "How far off the exchange's time, as we reckon it, may be.",
    registry=REGISTRY,
)
EXCHANGE_BLOCKED_SECONDS: Final = Gauge(
    "trader_exchange_blocked_seconds", "How long the exchange last told this address to wait.", registry=REGISTRY
)
EXCHANGE_LIMITED: Final = Counter(
    "trader_exchange_limited_total",
    "Answers that told this address to wait: 429 too many requests, 418 banned, 403 the firewall.",
    ["status"],
    registry=REGISTRY,
)
EXCHANGE_REQUESTS_HELD: Final = Counter(
    "trader_exchange_requests_held_total",
    "Requests not made because their share of the budget was used up, by purpose.",
    ["purpose"],
    registry=REGISTRY,
)

# Signals
SIGNALS_DECIDED: Final = Counter(
    "trader_signals_decided_total", "Candles decided on: enter, exit or hold.", ["decision"], registry=REGISTRY
)
SIGNALS_HISTORY_READ: Final = Counter(
    "trader_signals_history_read_total", "Times a strategy was rebuilt from past candles.", registry=REGISTRY
)

# Risk
RISK_DECISIONS: Final = Counter(
    "trader_risk_decisions_total",
    "Answers to signals: approved, or refused with the reason.",
    ["outcome", "reason"],
    registry=REGISTRY,
)
RISK_CHECK_SECONDS: Final = Histogram(
    "trader_risk_check_seconds",
    "Time of the rules and the reservation in Redis, alone.",
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
RISK_STATE_REBUILT: Final = Counter(
    "trader_risk_state_rebuilt_total", "Times the shared risk state in Redis was made anew.", registry=REGISTRY
)
PERMITS_RENEWED: Final = Counter(
    "trader_permits_renewed_total", "Renewals of permits, by what became of them.", ["outcome"], registry=REGISTRY
)
PROCESSES_DIFFERING: Final = Gauge(
    "trader_processes_differing",
    "Processes that are another program, or have another configuration, than the risk manager.",
    registry=REGISTRY,
)
DAILY_LOSS_RATIO: Final = Gauge(
    "trader_daily_loss_ratio",
    "The day's loss as a part of its limit; at 1 trading halts.",
    ["account"],
    registry=REGISTRY,
)
DAILY_LOSS_LIMIT: Final = Gauge(
    "trader_daily_loss_limit_quote", "The day's loss at which trading halts.", ["account"], registry=REGISTRY
)
EXPOSURE_LIMIT: Final = Gauge(
    "trader_exposure_limit_quote", "What an account may hold and be buying at once.", ["account"], registry=REGISTRY
)
TRADING_STATE: Final = Gauge(
    "trader_trading_state", "1 for the state that each account is in.", ["account", "state"], registry=REGISTRY
)

# Accounts
EQUITY: Final = Gauge("trader_equity_quote", "Equity, in the quote currency.", ["account"], registry=REGISTRY)
EQUITY_MARKED: Final = Gauge(
    "trader_equity_marked_timestamp_seconds", "When an account was marked last.", ["account"], registry=REGISTRY
)
PNL_TODAY: Final = Gauge(
    "trader_pnl_today_quote", "Equity less that of the UTC day's start.", ["account"], registry=REGISTRY
)
POSITIONS_OPEN: Final = Gauge(
    "trader_positions_open", "Positions of more than dust, by account.", ["account"], registry=REGISTRY
)
EXPOSURE: Final = Gauge(
    "trader_exposure_quote", "What an account's positions are worth at the bid.", ["account"], registry=REGISTRY
)

# Audit
AUDIT_RECORDS: Final = Counter(
    "trader_audit_records_total", "Records appended to the audit log, by kind.", ["kind"], registry=REGISTRY
)
AUDIT_ANCHORED_AT: Final = Gauge(
    "trader_audit_anchored_timestamp_seconds", "When the chains were last anchored.", registry=REGISTRY
)

# Notifications
WATCHDOG_ALERT_TOLD: Final = Gauge(
    "trader_watchdog_alert_told_timestamp_seconds",
    "When the newest alert of the watchdog was raised that reached somebody outside; it tells the others itself.",
    registry=REGISTRY,
)
NOTIFICATIONS: Final = Counter(
    "trader_notifications_total", "Notifications by channel and final state.", ["channel", "state"], registry=REGISTRY
)
NOTIFICATION_SECONDS: Final = Histogram(
    "trader_notification_seconds",
    "An alert's record to its arrival at a channel, of those that were not held.",
    ["channel"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)

# Orders
ORDERS_SENT: Final = Counter(
    "trader_orders_sent_total",
    "Orders sent, by role and what the answer proved.",
    ["role", "verdict"],
    registry=REGISTRY,
)
ORDERS_WITHHELD: Final = Counter(
    "trader_orders_withheld_total", "Orders not sent at the last hop, by reason.", ["role", "reason"], registry=REGISTRY
)
ORDERS_OPEN: Final = Gauge(
    "trader_orders_open",
    "Orders that rest at the exchange or may be there, as the last comparison left them.",
    ["account", "state"],
    registry=REGISTRY,
)
ORDERS_UNRESOLVED: Final = Gauge(
    "trader_orders_unresolved", "Orders of which nobody knows whether the exchange has them.", registry=REGISTRY
)
ORDERS_UNRESOLVED_SECONDS: Final = Gauge(
    "trader_orders_unresolved_oldest_seconds",
    "Age of the oldest order of unknown outcome that was not given up yet.",
    registry=REGISTRY,
)
ORDER_REQUEST_SECONDS: Final = Histogram(
    "trader_order_request_seconds", "An order's request to its answer.", buckets=_LATENCY_S, registry=REGISTRY
)
TICK_TO_ORDER_SECONDS: Final = Histogram(
    "trader_tick_to_order_seconds",
    "Receipt of the market data behind an entry to its request.",
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
UNPROTECTED_SECONDS: Final = Histogram(
    "trader_unprotected_seconds", "An entry's fill to its protection.", buckets=_LATENCY_S, registry=REGISTRY
)
RULES_CHANGED: Final = Counter(
    "trader_rules_changed_total",
    "Times the exchange was found to have changed a symbol's rules.",
    ["symbol"],
    registry=REGISTRY,
)
DIFFERENCES: Final = Gauge(
    "trader_differences",
    "Differences between our ledger and the exchange that nobody has settled, by kind.",
    ["account", "kind"],
    registry=REGISTRY,
)
RECONCILED_AT: Final = Gauge(
    "trader_reconciled_timestamp_seconds",
    "When the last comparison with the exchange began that was made to the end.",
    ["account"],
    registry=REGISTRY,
)
PERMIT_AGE_SECONDS: Final = Gauge(
    "trader_permit_age_seconds",
    "Time since the executor last found a permit, as of its last look; 0: it has one.",
    ["account"],
    registry=REGISTRY,
)
USER_STREAM_CONNECTED: Final = Gauge(
    "trader_user_stream_connected", "1 while the exchange tells of an account's orders.", ["account"], registry=REGISTRY
)
HALT_SECONDS: Final = Histogram(
    "trader_halt_seconds",
    "A halt's order to its taking hold in the executor, by the way that it came first.",
    ["path"],
    buckets=_LATENCY_S,
    registry=REGISTRY,
)
