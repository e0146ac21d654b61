"""The permits: renewed while everything allows entries, and left to lapse as soon as something does not."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.vocabulary import TradingState
from libs.common.control.halts import LatchView
from libs.common.control.permit import Renewal
from libs.common.errors import RetryableError
from libs.common.observability import metrics
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.losses import LossGuard

VIEW_AGE_S_MAX: Final = 0.5
"""No permit on an older look at the latches."""

_log = structlog.get_logger(__name__)


class PermitGrants(Protocol):
    """Where permits are granted: `libs.common.control.permit.PermitWriter`."""

    async def renew(self, account: str, *, risk_epoch: int, halt_epoch: int) -> Renewal:
        """Grant one more lifetime, unless a halt is latched there or a newer risk manager was there."""
        ...

    async def revoke(self, account: str, *, risk_epoch: int) -> None:
        """Take the permit back now."""
        ...


class LastLook:
    """What the latches said when somebody last looked, and whether that was lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._view = LatchView(file_readable=False)
        self._seen_at_s = clock.monotonic_s()

    def saw(self, view: LatchView) -> None:
        """Take note of what the latches say."""
        self._view = view
        self._seen_at_s = self._clock.monotonic_s()

    def stops(self, account: str) -> bool:
        """Tell whether the latches keep an account from its permit; so does not having looked lately."""
        age_s = self._clock.monotonic_s() - self._seen_at_s
        return age_s > VIEW_AGE_S_MAX or self._view.stops(account)


class PermitKeeper:
    """Renews each account's permit every 300 ms.

    Args:
        configuration: The accounts, and how old their equity may be.
        writer: The permits in Redis.
        governor: Knows the committed states.
        losses: Knows when each account's equity was marked last.
        epoch: Returns our epoch, or None while this process does not own the risk state.
        last_look: Tells whether a latch keeps an account from its permit.
        differing: Returns the processes that are another program, or have another configuration, than this one.
        clock: Tells how old the equity is.
    """

    def __init__(
        self,
        *,
        configuration: LiveConfiguration,
        writer: PermitGrants,
        governor: Governor,
        losses: LossGuard,
        epoch: Callable[[], int | None],
        last_look: LastLook,
        differing: Callable[[], Sequence[str]],
        clock: Clock,
    ) -> None:
        self._accounts = configuration.current.exchange.accounts
        self._configuration = configuration
        self._writer = writer
        self._governor = governor
        self._losses = losses
        self._epoch = epoch
        self._last_look = last_look
        self._differing = differing
        self._clock = clock

    async def renew(self) -> None:
        """Renew what may be renewed, take back what may not."""
        epoch = self._epoch()
        if epoch is None:
            return
        for account in self._accounts:
            if not self._may_enter(account):
                await self.revoke(account)
                continue
            try:
                outcome = await self._writer.renew(
                    account, risk_epoch=epoch, halt_epoch=self._governor.known[account].halt_epoch
                )
            except RetryableError as error:
                metrics.PERMITS_RENEWED.labels(outcome="unreachable").inc()
                _log.warning("A permit cannot be renewed; entries stop", account=account, error=repr(error))
            else:
                metrics.PERMITS_RENEWED.labels(outcome=outcome.value.lower()).inc()
                if outcome is Renewal.OUTDATED:
                    _log.warning("A newer risk manager grants the permits", account=account, epoch=epoch)

    async def revoke(self, account: str) -> None:
        """Take a permit back now, if Redis can be reached; it lapses by itself otherwise."""
        epoch = self._epoch()
        if epoch is None:
            return
        try:
            await self._writer.revoke(account, risk_epoch=epoch)
        except RetryableError as error:
            _log.warning("A permit cannot be revoked; it lapses by itself", account=account, error=repr(error))

    def _may_enter(self, account: str) -> bool:
        state = self._governor.known.get(account)
        marked_at = self._losses.marked_at.get(account)
        equity_age_max = timedelta(seconds=self._configuration.of(account).safety.equity_age_s_max)
        return (
            state is not None
            and state.state is TradingState.ACTIVE
            and marked_at is not None
            and self._clock.now() - marked_at <= equity_age_max
            and not self._last_look.stops(account)
            and not self._differing()
        )
