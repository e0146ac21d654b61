"""Sell what a halt with that authority covers, again and again until nothing of it is left.

Invariant: at most one sale of a symbol is under way, and only a halt that a verified command or an emergency made
liquidating is ever acted on: the stored records of all others say that they do not liquidate.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from libs.common.clock import Clock, epoch_ms
from libs.common.contracts.event import Event
from libs.common.contracts.vocabulary import Side
from libs.common.control.halts import HaltRecord
from services.risk_manager.domain.claims import HeldPosition
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.service.emergencies import Apply
from services.risk_manager.service.governing import Governor
from services.risk_manager.service.ports import RiskRecords

LIQUIDATION_INTERVAL_S: Final = 1.0
PAUSES_S: Final = (2.0, 4.0, 8.0, 15.0, 30.0)
"""Between attempts to sell the same position: a fill takes a moment to become a smaller position."""

Sell = Callable[[HaltRecord, AccountState, HeldPosition, str, RiskRecords], Awaitable[Sequence[Event]]]
"""Answers the order from above to sell one position, the attempt's name among what makes it its own."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Attempts:
    made: int = 0
    due_s: float = 0.0


class Liquidator:
    """Looks every second at what is still to be sold."""

    def __init__(self, *, governor: Governor, sell: Sell, apply: Apply, clock: Clock) -> None:
        self._governor = governor
        self._sell = sell
        self._apply = apply
        self._clock = clock
        self._attempts: dict[tuple[str, str], _Attempts] = {}

    async def look(self) -> None:
        """Order the sale of every position that a liquidating halt covers and of which no sale is under way."""
        for account, state in list(self._governor.known.items()):
            if any(halt.liquidate for halt in state.halts):
                await self._apply(lambda records, account=account: self._look_at(account, records))  # type: ignore[misc]  # the account is bound
            else:
                self._forget(account)

    async def _look_at(self, account: str, records: RiskRecords) -> Sequence[Event]:
        state = await records.state(account)
        selling = {claim.symbol for claim in await records.open_claims(account) if claim.side is Side.SELL}
        events: list[Event] = []
        for position in await records.positions(account):
            halt = _liquidating(state, position)
            if halt is None or not position.is_open:
                self._attempts.pop((account, position.symbol), None)
            elif position.symbol not in selling and self._is_due(account, position.symbol):
                name = str(epoch_ms(self._clock.now()))
                events += await self._sell(halt, state, position, name, records)
        return events

    def _is_due(self, account: str, symbol: str) -> bool:
        now_s = self._clock.monotonic_s()
        attempts = self._attempts.setdefault((account, symbol), _Attempts(due_s=now_s + PAUSES_S[0]))
        if now_s < attempts.due_s:
            return False  # the halt itself has ordered the first sale
        attempts.due_s = now_s + PAUSES_S[min(attempts.made, len(PAUSES_S) - 1)]
        attempts.made += 1
        _log.warning("Ordered to sell once more", account=account, symbol=symbol, attempt=attempts.made)
        return True

    def _forget(self, account: str) -> None:
        for known in [known for known in self._attempts if known[0] == account]:
            del self._attempts[known]


def _liquidating(state: AccountState, position: HeldPosition) -> HaltRecord | None:
    """Return the first halt that has a position sold."""
    for halt in state.halts:
        if halt.liquidate and halt.stops(state.account, symbol=position.symbol, strategy=position.strategy):
            return halt
    return None
