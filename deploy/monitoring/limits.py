"""The thresholds that alerts and dashboards share; those that the code itself acts on are taken from it."""

from typing import Final

from libs.common.configuration.safety import SafetySection
from libs.common.control.permit import PERMIT_LIFETIME_MS
from services.watchdog.settings import Settings as WatchdogSettings

_SAFETY: Final = SafetySection()
_WATCHDOG: Final = WatchdogSettings.model_fields

DATA_AGE_S: Final = _SAFETY.data_age_ms_max / 1_000
CLOCK_SKEW_WARNING_S: Final = 0.1
CLOCK_SKEW_S: Final = _SAFETY.clock_skew_ms_max / 1_000
EQUITY_AGE_S: Final = float(_SAFETY.equity_age_s_reducing)
DAILY_LOSS_WARNING: Final = float(_SAFETY.daily_loss_warning_fraction)
DAILY_LOSS: Final = 1.0
EXPOSURE: Final = 0.9
RESTARTS: Final = _SAFETY.crashes_max
RESTARTS_WINDOW_S: Final = _SAFETY.crashes_window_s
PERMIT_AGE_S: Final = 3 * PERMIT_LIFETIME_MS / 1_000
"""Three lifetimes: a renewal that is late is no alarm."""
SILENCE_S: Final = float(_WATCHDOG["halt_after_s"].default)
"""The watchdog stops trading by then; a supervised restart takes less."""

UNKNOWN_S: Final = 30.0
"""An order is found or given up within 20 s where the exchange answers."""
RECONCILIATION_S: Final = 60.0
UNPROTECTED_S: Final = 5.0
HALT_S: Final = 1.0
"""The budget with Kafka and Redis down."""
ORDER_PATH_S: Final = 1.0
REJECTED_RATIO: Final = 0.2
REJECTED_ORDERS_MIN: Final = 5
EVENT_AGE_S: Final = 1.0
HANDLING_S: Final = 0.5
OUTBOX_S: Final = 5.0
LOOP_LAG_S: Final = 0.1
MEMORY_BYTES_PER_HOUR: Final = 5e6
ANCHOR_AGE_S: Final = 120.0
AUDIT_SILENCE: Final = "1m"
BACKUP_SILENCE_S: Final = 600.0
BACKUP_AGE_S: Final = 26 * 3_600.0
"""A copy is made every day, and takes a while; `trader doctor` judges the same."""
BACKUP_VERIFIED_S: Final = 8 * 86_400.0
"""One is verified every week."""
DISK_LOW: Final = 0.2
DISK_FULL: Final = 0.05
MEMORY_USED: Final = 0.9
CONNECTIONS_USED: Final = 0.8
