"""Tell of every change of who may command, whoever made it and however.

Invariant: the operators file says whose commands count; here it is only compared with what was told before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.events import OperatorKeyChanged
from libs.common.control.operators import Operators
from services.risk_manager.service.emergencies import Apply
from services.risk_manager.service.ports import RiskRecords

KEY_INTERVAL_S: Final = 1.0
_GONE: Final = "it is not in the operators file any more"

_log = structlog.get_logger(__name__)


class KeyWatch:
    """Compares the operators file with the keys that were told of.

    Args:
        operators: Returns what the file says now.
        apply: Runs work in a transaction of the owner.
        clock: The moment of a change that the file does not date.
    """

    def __init__(self, *, operators: Callable[[], Operators], apply: Apply, clock: Clock) -> None:
        self._operators = operators
        self._apply = apply
        self._clock = clock
        self._told: Operators | None = None

    async def look(self) -> None:
        """Tell what has changed since the last look."""
        found = self._operators()
        if found is self._told:
            return

        async def tell(records: RiskRecords) -> Sequence[Event]:
            changes = self._changes(found, await records.operator_keys())
            for change in changes:
                await records.save_operator_key(change)
                _log.warning(
                    "Who may command has changed", key=change.key_id, name=change.name, accepted=change.accepted
                )
            return changes

        await self._apply(tell)
        self._told = found

    def _changes(self, found: Operators, known: Mapping[str, OperatorKeyChanged]) -> Sequence[OperatorKeyChanged]:
        now = self._clock.now()
        changes = []
        for key_id, operator in found.by_key_id.items():
            before = known.get(key_id)
            accepted = operator.revoked_at is None
            after = OperatorKeyChanged(
                occurred_at=(operator.created_at if accepted else operator.revoked_at) or now,
                key_id=key_id,
                name=operator.issuer,
                role=operator.role,
                accounts=operator.accounts,
                accepted=accepted,
                reason=operator.revoked_reason,
            )
            if before is None or _meaning(before) != _meaning(after):
                is_old = before is not None and after.occurred_at <= before.occurred_at
                changes.append(after.model_copy(update={"occurred_at": now}) if is_old else after)
        for key_id, before in known.items():
            if before.accepted and key_id not in found.by_key_id:
                changes.append(before.model_copy(update={"accepted": False, "reason": _GONE, "occurred_at": now}))
        return changes


def _meaning(key: OperatorKeyChanged) -> tuple[object, ...]:
    return key.name, key.role, key.accounts, key.accepted
