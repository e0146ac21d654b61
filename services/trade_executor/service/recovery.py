"""Start and restart, which are one path: register what may be at the exchange before anything else.

Invariant: what a predecessor may have sent is unknown until the exchange says otherwise; nothing is sent again. A
database that has forgotten what was published is brought up to it first, and every account halts for it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.events import BalancesAdjusted, OrderFilled, OrderUpdated
from libs.common.errors import InvalidMessageError
from libs.common.messaging.records import RawRecord
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.differences import StoredDifference
from services.trade_executor.domain.findings import restored
from services.trade_executor.domain.rebuilding import NO_EXITS, exits_of, latest, list_ids, rebuilt
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.difference_ports import Movement
from services.trade_executor.service.events import system_error
from services.trade_executor.service.latching import DifferenceHalts
from services.trade_executor.service.persisting import fetch
from services.trade_executor.service.ports import Records, Transactions

_LOG: Final = structlog.get_logger()


class Published(Protocol):
    """What this role has told (`libs.common.messaging.published.PublishedEvents`)."""

    async def forgotten(self) -> Sequence[RawRecord]:
        """Return the published records that the outbox does not know."""
        ...


class Recovery:
    """Runs when the role is taken, before approvals are consumed."""

    def __init__(
        self,
        *,
        accounts: Sequence[str],
        installation: str,
        published: Published,
        halts: DifferenceHalts,
        bookkeeper: Bookkeeper,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._installation = installation
        self._published = published
        self._halts = halts
        self._bookkeeper = bookkeeper
        self._transactions = transactions
        self._clock = clock

    async def recover(self) -> None:
        """Take back what was forgotten, halt what differs, and have every order looked for whose fate is not recorded.

        Raises:
            RetryableError: The database or the broker is away.
        """
        forgotten = await self._published.forgotten()
        if forgotten:
            await self._transactions.apply(partial(self._take_back, forgotten=forgotten))
        for account in self._accounts:
            await self._halts.hold(await fetch(self._transactions, partial(_open_differences, account)))
            await self._transactions.apply(partial(self._register, account=account))

    async def _register(self, records: Records, *, account: str) -> Sequence[Event]:
        events: list[Event] = []
        for order in await records.unresolved(account):
            events.extend(await self._bookkeeper.unknown(records, order, "RESTARTED"))
        return events

    async def _take_back(self, records: Records, *, forgotten: Sequence[RawRecord]) -> Sequence[Event]:
        """Bring the orders and transfers up to what was told; the exchange tells the executions anew."""
        told = _decoded(forgotten)
        updates = [event for event in told if isinstance(event, OrderUpdated)]
        orders = await self._rebuild(records, updates, [event for event in told if isinstance(event, OrderFilled)])
        for event in told:
            if isinstance(event, BalancesAdjusted):
                await records.book(_movement(event))
        await records.remember_published(forgotten)
        now = self._clock.now()
        unreadable = len(forgotten) - len(told)
        _LOG.error(
            "The database is older than what was published", events=len(told), orders=orders, unreadable=unreadable
        )
        events: list[Event] = []
        for account in self._accounts:
            difference = restored(
                account, events=len(told), orders=orders, unreadable=unreadable, epoch=self._transactions.epoch
            )
            await records.add_difference(difference, now)
            events.append(system_error(account, "restored", f"{difference}; see trader reconcile show", now))
        return events

    async def _rebuild(self, records: Records, updates: Sequence[OrderUpdated], fills: Sequence[OrderFilled]) -> int:
        exits, lists = exits_of(fills), list_ids(updates, self._installation)
        changed = 0
        for update in latest(updates):
            known = await records.order(update.intent_id)
            if known is not None and known.revision >= update.revision:
                continue
            order = rebuilt(update, known, exits.get(update.intent_id, NO_EXITS), lists.get(update.intent_id))
            await records.restore(order)
            if order.status is not OrderStatus.ABANDONED:
                await records.set_chain_open(order.chain_id, is_open=True)  # planning closes what needs nothing
            changed += 1
        return changed


def _decoded(records: Sequence[RawRecord]) -> Sequence[Event]:
    """Return the events of those that can be understood; the exchange knows what the others told."""
    events: list[Event] = []
    for record in records:
        try:
            events.append(record.decoded().event)
        except InvalidMessageError as error:
            _LOG.error(
                "A published event cannot be taken back",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                error=str(error),
            )
    return events


async def _open_differences(account: str, records: Records) -> Sequence[StoredDifference]:
    return await records.open_differences(account)


def _movement(event: BalancesAdjusted) -> Movement:
    return Movement(
        account=event.account,
        kind=event.kind,
        reference=event.reference,
        changes=event.changes,
        at=event.occurred_at,
        reason=event.reason,
        issuer=event.issuer,
    )
