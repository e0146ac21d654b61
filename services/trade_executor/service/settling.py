"""Settle differences: each is a row with an id until it is explained, superseded, or accepted by a person.

Invariant: our books change only by what an acceptance names, in the transaction that closes it; a figure that has
changed since is refused. Who may lift the halt of a difference finds the open rows in the view `reading.differences`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from libs.common.clock import Clock
from libs.common.contracts.event import Event
from libs.common.contracts.events import CommandAcknowledged
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import TradingState
from libs.common.observability import metrics
from libs.exchange.orders.port import Balance, OrderReport
from libs.trading.money import exact, plain
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.differences import Difference, Kind, StoredDifference, Subject, judge
from services.trade_executor.domain.findings import balance_differences, movements, order_differences
from services.trade_executor.service.bookkeeping import Bookkeeper
from services.trade_executor.service.difference_ports import Acceptance, Movement
from services.trade_executor.service.events import COMPONENT, balances_adjusted, order_updated, system_error
from services.trade_executor.service.ports import Records
from services.trade_executor.service.standing import Standing

PATIENCE: Final = timedelta(seconds=30)
"""How long after its expiry an acceptance waits for balances that stand still."""

QUERY_LAG: Final = timedelta(seconds=3)
"""How long the exchange may not find an order that it has accepted: looks that agree on it are this far apart."""

MISSING: Final = "ACCEPTED_AS_MISSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one reconciliation saw of an account at the exchange.

    Attributes:
        books: What the account had to hold by our books before its balances were asked for.
    """

    books: Mapping[str, Decimal]
    balances: Mapping[str, Balance]
    open_orders: Sequence[OrderReport]
    missing: Sequence[Difference]


class Settler:
    """Keeps one account's differences."""

    def __init__(
        self,
        *,
        account: str,
        installation: str,
        quote_asset: str,
        bookkeeper: Bookkeeper,
        standing: Standing,
        state: Callable[[], TradingState],
        after_commit: Callable[[Callable[[], None]], None],
        clock: Clock,
    ) -> None:
        self._account = account
        self._installation = installation
        self._quote_asset = quote_asset
        self._bookkeeper = bookkeeper
        self._standing = standing
        self._state = state
        self._after_commit = after_commit
        self._clock = clock
        self._gaps: Mapping[str, Decimal] | None = None  # of the last look at which the books stood still
        self._missing_since: Mapping[Subject, datetime] = {}
        self.open: Sequence[StoredDifference] = ()
        """The open differences as they were committed last."""
        self.is_waiting = False
        """An acceptance waits for another look."""

    async def settle(self, records: Records, look: Look) -> Sequence[Event]:
        """Bring the rows up to date with a look, and decide what people have accepted."""
        now = self._clock.now()
        books = await self.books(records)
        # An execution that was booked meanwhile is in one of the two figures only: their gap says nothing, however
        # often it comes to the same amount.
        stood_still = books == look.books
        found = [one for one in await self._found(records, look, books) if stood_still or one.kind is not Kind.BALANCE]
        gaps = {one.subject: one.changes[one.subject] for one in found if one.kind is Kind.BALANCE}
        missing_since = {one.key: self._missing_since.get(one.key, now) for one in look.missing}
        before = self._gaps
        undecided = {
            (Kind.BALANCE, asset)
            for asset in {*gaps, *(before or {}), *look.balances, *books}
            if before is None or not stood_still or gaps.get(asset) != before.get(asset)
        } | {key for key, since in missing_since.items() if now - since < QUERY_LAG}
        known = gaps if stood_still else before
        events = await self._keep_rows(records, found, undecided, now)
        now_by_key = {one.key: one for one in found}
        waiting = False
        for acceptance in await records.waiting_acceptances(self._account):
            answer = await self._decide(records, acceptance, now_by_key, now)
            waiting = waiting or answer is None
            events.extend(answer or ())
        rows = await records.open_differences(self._account)
        self._after_commit(lambda: self._remember(known, missing_since, rows, waiting=waiting))
        return events

    async def books(self, records: Records) -> Mapping[str, Decimal]:
        """Return what the account must hold, executions that nobody has accepted yet included."""
        return _sum(await records.ledger(self._account), movements(await records.stray_trades(self._account)))

    async def _found(self, records: Records, look: Look, expected: Mapping[str, Decimal]) -> Sequence[Difference]:
        strays = await records.stray_trades(self._account)
        held = {asset: balance.total for asset, balance in look.balances.items()}
        return [
            *balance_differences(self._account, expected, held, quote=self._quote_asset),
            *order_differences(self._account, look.open_orders, strays, installation=self._installation),
            *look.missing,
        ]

    async def _keep_rows(
        self, records: Records, found: Sequence[Difference], undecided: set[Subject], now: datetime
    ) -> list[Event]:
        rows = await records.open_differences(self._account)
        known = {row.key for row in rows}
        verdict = judge(rows, found, undecided)
        await records.settle_differences(verdict.explained, "EXPLAINED", now)
        await records.settle_differences(verdict.superseded, "SUPERSEDED", now)
        for difference_id, difference in verdict.seen_again.items():
            await records.see_again(difference_id, difference, now)
        events: list[Event] = []
        for difference in verdict.opened:
            added = await records.add_difference(difference, now)
            if added is not None and difference.key not in known:  # what only grew was told of
                text = f"difference {added}: {difference}; see trader reconcile show"
                events.append(system_error(self._account, f"difference-{added}", text, now))
        return events

    async def _decide(
        self,
        records: Records,
        acceptance: Acceptance,
        found: Mapping[tuple[Kind, str], Difference],
        now: datetime,
    ) -> Sequence[Event] | None:
        """Book what was accepted, or refuse it; None: the books and the exchange are still moving."""
        row = await records.difference(self._account, acceptance.difference_id)
        if row is None or row.settled_by is not None:
            state = "none" if row is None else f"it {row.settled_by}"
            why = f"expected {acceptance.difference_id} to be an open difference, found {state}"
            return await self._refuse(records, acceptance, why, now)
        difference = found.get(row.key)
        same = not row.kind.explains_itself if difference is None else difference.figure == row.figure
        if not same:
            if now < acceptance.expires_at + PATIENCE:
                return None
            return await self._refuse(records, acceptance, "the balances did not stand still; try again", now)
        objection = None if difference is None else await self._objection(records, difference)
        if objection is not None:
            return await self._refuse(records, acceptance, objection, now)
        return await self._accept(records, acceptance, row, difference, now)

    async def _objection(self, records: Records, difference: Difference) -> str | None:
        """Return why a difference cannot be accepted as it stands, or None."""
        if difference.is_open:
            return f"the order {difference.subject} is still open at the exchange: cancel it there first"
        ledger = await records.ledger(self._account)
        for asset, change in difference.changes.items():
            needed = await self._held_for_positions(records, asset)
            with exact():
                left = ledger.get(asset, Decimal(0)) + change
            if change < 0 and left < needed:
                return (
                    f"open positions hold {plain(needed)} {asset}, and {plain(left)} would be left for them: "
                    f"buy back what is missing, and accept that first"
                )
        return None

    async def _held_for_positions(self, records: Records, asset: str) -> Decimal:
        held = Decimal(0)
        symbol = f"{asset}/{self._quote_asset}"
        for chain_id in await records.open_chains(self._account, symbol):
            chain = await records.chain(chain_id, base=asset)
            with exact():
                held += chain.held if chain is not None else Decimal(0)
        return held

    async def _accept(
        self,
        records: Records,
        acceptance: Acceptance,
        row: StoredDifference,
        difference: Difference | None,
        now: datetime,
    ) -> Sequence[Event]:
        events: list[Event] = []
        if difference is not None and difference.changes:
            movement = Movement(
                account=self._account,
                kind="DIFFERENCE",
                reference=str(acceptance.command_id),
                changes=difference.changes,
                at=now,
                reason=acceptance.reason,
                issuer=acceptance.issuer,
            )
            await records.book(movement)
            events.append(balances_adjusted(movement))
        if difference is not None and difference.order_id is not None:
            await records.settle_stray_trades(self._account, difference.order_id, acceptance.command_id)
        if row.kind is Kind.MISSING_ORDER:
            events.extend(await self._end_missing(records, row, now))
        await records.settle_differences([row.id], "ACCEPTED", now, issuer=acceptance.issuer, reason=acceptance.reason)
        await records.decide_acceptance(acceptance.command_id, "", now)
        return [*events, self._answer(acceptance, f"{row.kind} {row.subject}: {row.found}", now, accepted=True)]

    async def _end_missing(self, records: Records, row: StoredDifference, now: datetime) -> Sequence[Event]:
        order = await records.order_by_client_id(self._account, row.subject)
        if order is None or not order.is_working:
            return []
        ended = order.changed(now, status=OrderStatus.CANCELED, reason=MISSING, final=order.approved)
        await records.update(ended)
        return [order_updated(ended), *await self._bookkeeper.advance(records, ended)]

    async def _refuse(self, records: Records, acceptance: Acceptance, why: str, now: datetime) -> Sequence[Event]:
        await records.decide_acceptance(acceptance.command_id, why, now)
        return [self._answer(acceptance, why, now, accepted=False)]

    def _answer(self, acceptance: Acceptance, text: str, now: datetime, *, accepted: bool) -> CommandAcknowledged:
        return CommandAcknowledged(
            occurred_at=now,
            command_id=acceptance.command_id,
            command="RECONCILE_ACCEPT",
            account=self._account,
            accepted=accepted,
            component=COMPONENT,
            path="kafka",
            state=self._state(),
            reason=text[:TEXT_CHARACTERS_MAX],
        )

    def _remember(
        self,
        gaps: Mapping[str, Decimal] | None,
        missing_since: Mapping[Subject, datetime],
        rows: Sequence[StoredDifference],
        *,
        waiting: bool,
    ) -> None:
        self._gaps, self._missing_since, self.open, self.is_waiting = gaps, missing_since, rows, waiting
        for kind in Kind:
            count = sum(row.kind is kind for row in rows)
            metrics.DIFFERENCES.labels(account=self._account, kind=kind.value).set(count)
        if any(row.kind.stops_everything for row in rows):
            self._standing.foreign.add(self._account)
        else:
            self._standing.foreign.discard(self._account)


def _sum(one: Mapping[str, Decimal], other: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    with exact():
        return {asset: one.get(asset, Decimal(0)) + other.get(asset, Decimal(0)) for asset in {*one, *other}}
