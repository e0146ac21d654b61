"""The daily loss: warned of once a day, and the end of trading at exactly its limit."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from libs.common.configuration import LiveConfiguration, TradingConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, EquityMarked
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from libs.common.observability import metrics
from libs.trading.money import plain
from libs.trading.risk import DailyLoss, DailyLossLevel, daily_loss
from services.risk_manager.domain.figures import StoredMark
from services.risk_manager.service.announcements import COMPONENT
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.ports import RiskRecords


class LossGuard:
    """Watches every mark of the equity; only confirmed ones stop trading."""

    def __init__(self, *, configuration: LiveConfiguration, governor: Governor) -> None:
        self._configuration = configuration
        self._governor = governor
        self.marked_at: dict[str, datetime] = {}
        """When each account's equity was marked last, as far as committed."""

    async def on_equity_marked(self, envelope: Envelope[EquityMarked], records: RiskRecords) -> Sequence[Event]:
        """Keep the mark; warn at the configured part of the limit, halt at the limit."""
        mark = envelope.event
        if not await records.save_mark(mark):
            return ()
        records.after_commit(lambda: self.marked_at.update({mark.account: mark.occurred_at}))
        if not mark.confirmed:
            return ()
        today = loss_of(mark, self._configuration.of(mark.account))
        records.after_commit(lambda: self._show(mark, today))  # alerts page on what is shown
        events: list[Event] = []
        if today.level is not DailyLossLevel.NORMAL and await records.warn_once(mark.account, mark.day):
            events.append(_warning(mark, today))
        if today.level is DailyLossLevel.EXCEEDED and not await self._is_tripped(mark.account, records):
            events += await self._governor.trip(
                StopTrigger.DAILY_LOSS_EXCEEDED,
                account=mark.account,
                halt_id=f"daily-loss-{mark.account}-{envelope.event_id}",
                reason=(
                    f"a loss of {plain(today.loss)} reached the limit of {plain(today.limit)} "
                    f"at the mark of {mark.occurred_at.isoformat()}"
                ),
                at=mark.occurred_at,
                records=records,
            )
        return events

    def _show(self, mark: EquityMarked, today: DailyLoss) -> None:
        exposure_max = mark.equity * self._configuration.of(mark.account).safety.exposure_pct_max / 100
        metrics.DAILY_LOSS_RATIO.labels(account=mark.account).set(float(today.fraction))
        metrics.DAILY_LOSS_LIMIT.labels(account=mark.account).set(float(today.limit))
        metrics.EXPOSURE_LIMIT.labels(account=mark.account).set(float(exposure_max))

    async def _is_tripped(self, account: str, records: RiskRecords) -> bool:
        state = await records.state(account)
        return any(halt.trigger is StopTrigger.DAILY_LOSS_EXCEEDED for halt in state.halts)


def loss_of(mark: StoredMark | EquityMarked, configuration: TradingConfiguration) -> DailyLoss:
    """Return the loss at a mark, by the configuration as it holds for its account."""
    return daily_loss(
        mark.equity,
        mark.day_start_equity,
        mark.peak_24h,
        configuration.risk_management.daily_loss_limit_pct,
        configuration.safety.daily_loss_warning_fraction,
    )


def _warning(mark: EquityMarked, today: DailyLoss) -> AlertRaised:
    used_pct = plain((today.fraction * 100).quantize(Decimal("0.1")))
    return AlertRaised(
        occurred_at=mark.occurred_at,
        alert_type=AlertType.DAILY_LOSS_WARNING,
        severity=Severity.WARNING,
        component=COMPONENT,
        subject=f"{mark.account}|{mark.day.isoformat()}",
        message=f"{mark.account}: a loss of {plain(today.loss)} is {used_pct} % of the daily limit",
        parameters={"loss": plain(today.loss), "limit": plain(today.limit), "used_pct": used_pct},
        account=mark.account,
    )
