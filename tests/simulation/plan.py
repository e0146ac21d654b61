"""What may happen in a story, and how the system is configured in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from tests.simulation.machine import Trap
from tests.simulation.weather import Fault, Weather
from tests.simulation.witness import SYMBOLS

CONFIGURATION: Final[Mapping[str, Any]] = {
    "engine": {"trading_interval": 1, "max_concurrent_positions": 5, "enable_paper_trading": True},
    "risk_management": {
        "daily_loss_limit_pct": 20,
        "position_size_pct": 5,
        "stop_loss_pct": 0.5,
        "take_profit_pct": 0.5,
    },
    "symbols": list(SYMBOLS),
    "notifications": {
        "enabled": False,
        "channels": ["dashboard"],
        "trade_notifications": True,
        "error_notifications": True,
    },
    "safety": {"exposure_pct_max": 7, "crashes_max": 100, "signal_age_s_max": 5},
}
EXPOSURE_MAX: Final = Decimal(720)  # 7 % of 10 000 USDT, and what a price may move meanwhile
SERVICES: Final = ("risk_manager", "position_manager", "trade_executor")
STEPS: Final = (
    "committed",
    "before commit",
    "sending POST",
    "sent POST",
    "answered POST",
    "sending DELETE",
    "sent DELETE",
    "answered DELETE",
    "answered GET order",
    "answered GET openOrders",
    "answered GET myTrades",
    "answered GET account",
    "publishing orders",
    "published orders",
    "published fills",
)
STORES: Final = ("flush", "redis", "kafka", "postgres", "doubled", "lost", "full")
REST_S_MAX: Final = 240.0
PROBE_S_MAX: Final = 60.0
QUARANTINE_S: Final = 6.0
"""A tenth of the real one, in which nothing happens but that time passes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What may happen in a story; 0 means that it does not.

    Attributes:
        seconds: For how long.
        signal_every_s: How long from one signal to the next, on average; the other intervals likewise.
        trails: Whether the stop of every second position follows the price.
        traps: What happens for certain, and `faults` to the first orders and cancels.
        weather: How the way is at the beginning, `doubled_rate` and `kafka_delay_s` the broker.
        exchange: The configuration's section of this name.
        quarantine_s: How long the executor counts an order that was not found.
    """

    seconds: float = 22.0
    signal_every_s: float = 0.4
    kill_every_s: float = 6.0
    freeze_every_s: float = 15.0
    weather_every_s: float = 5.0
    halt_every_s: float = 20.0
    store_every_s: float = 12.5
    clock_every_s: float = 30.0
    locks_every_s: float = 20.0
    rest_s_max: float = REST_S_MAX
    write_faults: float = 0.4
    watchdog: bool = False
    trails: bool = True
    steps: Sequence[str] = STEPS
    services: Sequence[str] = SERVICES
    standbys: Sequence[str] = ()
    stores: Sequence[str] = STORES
    traps: Sequence[Trap] = ()
    faults: Sequence[Fault] = ()
    weather: Weather = field(default_factory=Weather)
    doubled_rate: float = 0.0
    kafka_delay_s: float = 0.01
    exchange: Mapping[str, Any] = field(default_factory=dict)
    quarantine_s: float = QUARANTINE_S


CALM: Final = Plan(
    kill_every_s=0,
    freeze_every_s=0,
    weather_every_s=0,
    halt_every_s=0,
    store_every_s=0,
    clock_every_s=0,
    locks_every_s=0,
    write_faults=0,
)
