"""How each alert is tried with promtool: series that make it fire, and the nearest that do not.

Series are written by hand, in promtool's notation, one value every 5 s; where a threshold moves, they show it.
"""

from collections.abc import Mapping
from typing import Final

from deploy.monitoring import limits
from deploy.monitoring.trials_system import SYSTEM
from deploy.monitoring.trials_types import Trial

_MAIN: Final = '{job="trade_executor", account="main"}'
_ACTIVE: Final = 'trader_trading_state{job="risk_manager", account="main", state="ACTIVE"}'
_HALTED: Final = 'trader_trading_state{job="risk_manager", account="main", state="HALTED"}'


def _one(series: str, fires: str, silent: str, at: str = "2m") -> Trial:
    return Trial(fires={series: fires}, silent={series: silent}, at=at)


def _difference(kind: str, other: str) -> Trial:
    named = 'trader_differences{{job="trade_executor", account="main", kind="{}"}}'
    return Trial(
        fires={named.format(kind): "0x3 1x40"}, silent={named.format(kind): "0x40", named.format(other): "1x40"}
    )


def _sent(accepted: str, refused: str) -> Mapping[str, str]:
    named = 'trader_orders_sent_total{{job="trade_executor", role="ENTRY", verdict="{}"}}'
    return {named.format("ACCEPTED"): accepted, named.format("NOT_ACCEPTED"): refused}


def _store(name: str) -> Trial:
    up, exporter = (f'{metric}{{job="{name}", instance="exporter"}}' for metric in (_STORE[name], "up"))
    return Trial(
        fires={up: "1x3 0x40", exporter: "1x40"},
        fires_too=({up: "1x3 stale", exporter: "1x3 0x40"},),  # a frozen store: nobody answers in time
        silent={up: "1x40", exporter: "1x40"},
    )


def _brokers(*values: str) -> Mapping[str, str]:
    return {f'up{{job="kafka", instance="kafka{number}:9404"}}': each for number, each in enumerate(values, start=1)}


def _backup(of: str, age_s: float) -> Trial:
    series = f'trader_backup_timestamp_seconds{{job="watchdog", of="{of}"}}'
    return _one(series, f"{-age_s:g}x40", f"{120 - age_s:g}x40")


def _marked(*values: str, started: int) -> Mapping[str, str]:
    manager = 'job="position_manager", instance="10.0.0.1:8080"'
    marked = 'trader_equity_marked_timestamp_seconds{{{}, account="{}"}}'
    return {
        **{marked.format(manager, account): value for account, value in zip(("main", "second"), values, strict=False)},
        f"process_start_time_seconds{{{manager}}}": f"{started}x40",
    }


def _histogram(name: str, labels: str, bound: str, *, within: str, all_: str) -> Mapping[str, str]:
    buckets = {bound: within, "10.0": all_, "+Inf": all_}
    named = {f'{name}_bucket{{{labels}, le="{limit}"}}': values for limit, values in buckets.items()}
    return {**named, f"{name}_count{{{labels}}}": all_}


_STORE: Final = {"redis": "redis_up", "postgres": "pg_up"}
_EXECUTOR: Final = 'job="trade_executor"'
_CANDLES: Final = 'job="signal_generator", topic="market.candles"'

MONEY: Final[dict[str, Trial]] = {
    "OrderUnknown": _one('trader_orders_unresolved_oldest_seconds{job="trade_executor"}', "0+5x40", "30x40"),
    "LateFill": _difference("LATE_FILL", "BALANCE"),
    "ForeignOrder": _difference("UNRECORDED_ORDER", "BALANCE"),
    "BooksDiffer": _difference("BALANCE", "LATE_FILL"),
    "ReconciliationStale": _one(f"trader_reconciled_timestamp_seconds{_MAIN}", "0x40", "0+5x40"),
    "DailyLossWarning": _one("trader_daily_loss_ratio" + _MAIN, "0.8x40", "0.79x40"),
    "DailyLossExceeded": _one("trader_daily_loss_ratio" + _MAIN, "1x40", "0.99x40"),
    "EquityStale": Trial(
        fires=_marked("20x40", started=10),
        fires_too=(_marked("0x40", started=10),),
        silent=_marked("0x9 50+5x30", "0x40", started=40),  # the second account was never marked, nor could it yet
        at="60s",
    ),
    "ExposureHigh": Trial(
        fires={f"trader_exposure_quote{_MAIN}": "91x40", f"trader_exposure_limit_quote{_MAIN}": "100x40"},
        silent={f"trader_exposure_quote{_MAIN}": "90x40", f"trader_exposure_limit_quote{_MAIN}": "100x40"},
    ),
    "TradingHalted": _one(_HALTED, "0x3 1x40", "0x40"),
    "TradingResumed": Trial(fires={_HALTED: "1x20 0x40"}, silent={_HALTED: "0x10 1x40"}),
    "PermitLost": Trial(
        fires={f"trader_permit_age_seconds{_MAIN}": "0+5x40", _ACTIVE: "1x40"},
        silent={f"trader_permit_age_seconds{_MAIN}": "0+5x40", _ACTIVE: "0x40"},
    ),
    "UserStreamDown": _one(f"trader_user_stream_connected{_MAIN}", "0x40", "1x40"),
    "OrdersRejected": Trial(fires=_sent("0+3x70", "0+1x70"), silent=_sent("0+5x70", "0+1x70"), at="5m"),
    "ProtectionSlow": Trial(
        fires=_histogram("trader_unprotected_seconds", _EXECUTOR, "5.0", within="1x40", all_="1x10 2x30"),
        silent=_histogram("trader_unprotected_seconds", _EXECUTOR, "5.0", within="1x10 2x30", all_="1x10 2x30"),
    ),
    "HaltSlow": Trial(
        fires=_histogram("trader_halt_seconds", _EXECUTOR, "1.0", within="0x40", all_="0x10 1x30"),
        silent=_histogram("trader_halt_seconds", _EXECUTOR, "1.0", within="0x10 1x30", all_="0x10 1x30"),
    ),
    "ExchangeLimited": _one(
        'trader_exchange_limited_total{job="market_monitor", status="429"}', "_x100 1x30", "1x130", "10m"
    ),
    "ExchangeBanned": Trial(
        fires={'trader_exchange_limited_total{job="trade_executor", status="418"}': "1x10 2x30"},
        silent={'trader_exchange_limited_total{job="trade_executor", status="429"}': "1x10 2x30"},
    ),
}

MARKET: Final[dict[str, Trial]] = {
    "MarketDataStale": _one(
        'trader_market_data_age_seconds{job="market_monitor", symbol="BTC/USDT"}', "0+5x40", "5x40"
    ),
    "ClockSkewed": _one('trader_exchange_clock_skew_seconds{job="trade_executor"}', "-0.11x40", "0.1x40"),
    "ClockWrong": _one('trader_exchange_clock_skew_seconds{job="trade_executor"}', "-0.51x40", "0.5x40"),
    "EventsLate": Trial(
        fires=_histogram("trader_event_age_seconds", _CANDLES, "1.0", within="0x80", all_="0+5x80"),
        silent=_histogram(
            "trader_event_age_seconds",
            _CANDLES,
            "1.0",
            within="0+5x80",
            all_="0+5x80",
        ),
        at="5m",
    ),
    "OrderPathSlow": Trial(
        fires=_histogram("trader_tick_to_order_seconds", _EXECUTOR, "1.0", within="0x80", all_="0+1x80"),
        silent=_histogram("trader_tick_to_order_seconds", _EXECUTOR, "1.0", within="0+1x80", all_="0+1x80"),
        at="5m",
    ),
}

STORES: Final[dict[str, Trial]] = {
    "KafkaDown": Trial(
        fires=_brokers("1x3 0x40"),
        fires_too=(_brokers("1x3 0x40", "1x3 0x40", "0x40"),),
        silent=_brokers("1x3 0x40", "1x40", "0x40"),
    ),
    "KafkaBrokerDown": Trial(
        fires=_brokers("1x3 0x40", "1x40", "1x40"),
        silent=_brokers("1x3 0x40", "1x3 0x40"),  # that is KafkaDown
    ),
    "RedisDown": _store("redis"),
    "PostgresDown": _store("postgres"),
    "ExporterDown": _one('up{job="redis", instance="redis-exporter:9121"}', "0x40", "1x40"),
    "KafkaPartitionsOffline": _one('kafka_controller_offline_partitions{job="kafka"}', "0x3 1x40", "0x40"),
    "KafkaUnderReplicated": _one('kafka_server_under_replicated_partitions{job="kafka"}', "1x40", "0x40"),
    "RedisMemoryHigh": Trial(
        fires={'redis_memory_used_bytes{job="redis"}': "91x40", 'redis_memory_max_bytes{job="redis"}': "100x40"},
        silent={'redis_memory_used_bytes{job="redis"}': "91x40", 'redis_memory_max_bytes{job="redis"}': "0x40"},
    ),
    "RedisPersistenceFailing": _one('redis_aof_last_write_status{job="redis"}', "1x3 0x40", "1x40"),
    "PostgresConnectionsHigh": Trial(
        fires={
            'pg_stat_database_numbackends{job="postgres", datname="trader"}': "81x40",
            'pg_settings_max_connections{job="postgres"}': "100x40",
        },
        silent={
            'pg_stat_database_numbackends{job="postgres", datname="trader"}': "80x40",
            'pg_settings_max_connections{job="postgres"}': "100x40",
        },
    ),
    "BackupStalled": _backup("received", limits.BACKUP_SILENCE_S),
    "BackupOld": _backup("copied", limits.BACKUP_AGE_S),
    "BackupUnverified": _backup("verified", limits.BACKUP_VERIFIED_S),
}

GROUPS: Final[dict[str, dict[str, Trial]]] = {"money": MONEY, "market": MARKET, "system": SYSTEM, "stores": STORES}
TRIALS: Final = {name: trial for trials in GROUPS.values() for name, trial in trials.items()}
