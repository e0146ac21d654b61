"""The executor stops itself when the exchange, or its own proof, says that it is wrong.

Invariant: entries stop here before anybody else is told; the halt is then the risk manager's, and only a person's
RESUME ends it.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Event, event_id_of
from libs.common.contracts.events import AlertRaised
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import AlertType, Severity, StopTrigger
from libs.common.control.commands import option_for
from libs.common.control.halts import HaltRecord
from libs.exchange.outcomes import Outcome, Verdict
from libs.exchange.refusals import Reason
from libs.trading.risk import RefusalBreaker, Refused, TradingState
from services.trade_executor.domain.orders import ExecutorOrder
from services.trade_executor.service.brake import Brake
from services.trade_executor.service.controls import Controls
from services.trade_executor.service.persisting import persist
from services.trade_executor.service.ports import Records, Transactions

COMPONENT: Final = "trade_executor"

OUR_FAULT: Final = frozenset(
    {Reason.CREDENTIALS, Reason.PARAMETERS, Reason.FILTER, Reason.INSUFFICIENT_BALANCE, Reason.REJECTED}
)
"""Refusals of orders that should not have been sent; a market that moved, a limit of time or a clock are not."""


class SelfHalt:
    """Counts refusals of each account, and halts what must not go on.

    Args:
        brake: Takes the halt at once.
        controls: Knows the limits.
        transactions: The alert is durable before anything else happens.
        clock: The moment of the halt.
    """

    def __init__(self, *, brake: Brake, controls: Controls, transactions: Transactions, clock: Clock) -> None:
        self._brake = brake
        self._controls = controls
        self._transactions = transactions
        self._clock = clock
        self._breakers: defaultdict[str, RefusalBreaker] = defaultdict(RefusalBreaker)

    async def answered(self, order: ExecutorOrder, outcome: Outcome) -> None:
        """Count the exchange's answer to an order; too many refusals of our own making halt the account."""
        if outcome.verdict not in (Verdict.ACCEPTED, Verdict.NOT_ACCEPTED):
            return
        tripped = self._breakers[order.account].answered(
            self._controls.limits(order.account),
            refused=outcome.reason in OUR_FAULT,
            now_ms=int(self._clock.monotonic_s() * 1_000),
        )
        if tripped is not None:
            await self.halt(order, tripped, f"the last one: {outcome.detail}")

    async def halt(self, order: ExecutorOrder, refused: Refused, detail: str) -> None:
        """Halt the order's account, here first and then for everybody; one that is halted stays so."""
        if self._brake.state(order.account) is TradingState.HALTED:
            return
        option = option_for(order.account)
        message = (
            f"{refused.reason.upper()}: {refused.observed}, {refused.limit} is expected; {order.client_order_id} in "
            f"{order.symbol}; {detail}; look at `trader orders{option}`, then `trader resume{option}`"
        )
        alert = AlertRaised(
            occurred_at=self._clock.now(),
            alert_type=AlertType.SYSTEM_ERROR,
            severity=Severity.CRITICAL,
            component=COMPONENT,
            subject=f"{order.account}|{refused.reason}",
            message=message[:TEXT_CHARACTERS_MAX],
            parameters={"halt": "account", "reason": refused.reason.upper(), "order": order.client_order_id},
            account=order.account,
            symbol=order.symbol,
        )
        self._brake.on_halt(
            HaltRecord(
                halt_id=f"alert-{event_id_of(alert, cause=None, ordinal=0)}",  # as the risk manager will name it
                account=order.account,
                trigger=StopTrigger.SYSTEM_ERROR,
                reason=message[:TEXT_CHARACTERS_MAX],
                issuer=COMPONENT,
                halted_at=alert.occurred_at,
            )
        )

        async def tell(_: Records) -> Sequence[Event]:
            return [alert]

        await persist(self._transactions, tell)
