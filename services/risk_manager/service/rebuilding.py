"""Keeps Redis true to Postgres: compared every few seconds, made anew as soon as it is suspect."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

import structlog

from libs.common.contracts.event import Event
from libs.common.errors import RetryableError
from services.risk_manager.domain.claims import Claim, HeldPosition
from services.risk_manager.service.emergencies import Apply
from services.risk_manager.service.ports import RiskRecords

_log = structlog.get_logger(__name__)


class RebuildableBook(Protocol):
    """The shared risk state, as far as it can be made anew."""

    async def reconcile(self, account: str, *, claims: Iterable[Claim], positions: Iterable[HeldPosition]) -> bool:
        """Make it hold exactly what is stored; tell whether anything had to be put right.

        Raises:
            RetryableError: It cannot be reached; until it can, every reservation refuses.
        """
        ...


class BookKeeper:
    """Reconciles each account inside a transaction of the owner, where nothing else changes what is stored."""

    def __init__(self, *, book: RebuildableBook, accounts: Sequence[str], apply: Apply) -> None:
        self._book = book
        self._accounts = accounts
        self._apply = apply

    async def reconcile(self) -> None:
        """Compare every account, and put right what differs."""
        for account in self._accounts:
            await self._apply(partial(self._reconcile, account))

    async def _reconcile(self, account: str, records: RiskRecords) -> Sequence[Event]:
        claims = await records.open_claims(account)
        positions = await records.positions(account)
        try:
            if await self._book.reconcile(account, claims=claims, positions=positions):
                _log.info("Put the shared risk state right", account=account, claims=len(claims))
        except RetryableError as error:
            _log.warning("The shared risk state waits for Redis", account=account, error=str(error))
        return ()
