"""Tell of every comparison with the exchange that was made to the end: what was lost sight of is in view again.

It goes beside the outbox: the next one says as much as one that is lost.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.events import AccountReconciled
from libs.common.errors import RetryableError
from services.trade_executor.service.standing import Standing

TELL_S: Final = 1.0

_LOG: Final = structlog.get_logger()


class ReconciliationNews:
    """Tells each comparison once."""

    def __init__(self, *, standing: Standing, publish: Callable[[Event], None], clock: Clock) -> None:
        self._standing = standing
        self._publish = publish
        self._clock = clock
        self._told: dict[str, datetime] = {}

    async def tell(self) -> None:
        """Tell what is new."""
        for account, began_at in self._standing.reconciled_at.items():
            if self._told.get(account) == began_at:
                continue
            try:
                self._publish(AccountReconciled(occurred_at=self._clock.now(), account=account, began_at=began_at))
            except RetryableError as error:
                _LOG.warning("A reconciliation is not told", account=account, error=str(error))
            else:
                self._told[account] = began_at
