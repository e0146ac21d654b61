"""The two channels that need nothing from outside: the dashboard's table and the log."""

from typing import Final

import structlog

from libs.common.contracts.vocabulary import Severity
from services.notifier.service.ports import Delivery, Notification

_log: Final = structlog.get_logger("notifications")


class DashboardChannel:
    """The dashboard reads the notifier's table: what is committed there has arrived."""

    async def deliver(self, notification: Notification) -> Delivery:  # noqa: ARG002 - the row itself is the delivery
        """Say that the row is visible."""
        return Delivery(delivered=True)


class LogChannel:
    """Writes a log line of the alert's severity, which also reaches the `logs` topic."""

    async def deliver(self, notification: Notification) -> Delivery:
        """Write the line."""
        write = _log.info if notification.severity == Severity.INFO else _log.warning
        write(
            notification.title,
            alert_type=notification.alert_type,
            severity=notification.severity,
            body=notification.body,
            occurred_at=notification.occurred_at.isoformat(),
        )
        return Delivery(delivered=True)
