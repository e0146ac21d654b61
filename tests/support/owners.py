"""An owner of a small state: what the fills of each account add up to.

The state is changed by increments, which no service does: an effect that happens twice cannot hide.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg

from libs.common.clock import SystemClock
from libs.common.contracts.codec import WireRecord
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import AlertRaised, OrderFilled
from libs.common.contracts.topics import TopicName
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Kafka, Producer
from libs.common.messaging.outbox import OutboxRelay
from libs.common.messaging.owner import Handler, Owner
from libs.common.messaging.ownership import Ownership
from libs.common.storage.postgres import Database, Session
from libs.common.storage.transaction import Transaction
from tests.support.events import AT, every_event
from tests.support.migrated import MigratedDatabase

ROLE = "notifier"
CLOCK = SystemClock()


class Tally:
    """What accounts have, within one transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    async def add(self, account: str, quantity: Decimal) -> None:
        """Add to what an account has."""
        await self.transaction.execute(
            "INSERT INTO tally AS held VALUES ($1, $2) "
            "ON CONFLICT (account) DO UPDATE SET quantity = held.quantity + excluded.quantity",
            account,
            quantity,
        )


TallyHandlers = Mapping[type[Event], Handler[Tally]]


def a_fill(trade_id: int = 1, *, account: str = "main", quantity: str = "1") -> OrderFilled:
    """Return a fill; its trade id makes its event id."""
    (example,) = (event for event in every_event() if isinstance(event, OrderFilled))
    return example.model_copy(update={"trade_id": trade_id, "account": account, "quantity": Decimal(quantity)})


def an_alert(subject: str, *, account: str | None = "main") -> AlertRaised:
    """Return an alert; its subject makes its event id."""
    return AlertRaised(
        occurred_at=AT,
        alert_type=AlertType.TRADE_EXECUTED,
        severity=Severity.INFO,
        component=ROLE,
        subject=subject,
        message="A fill was added",
        account=account,
    )


async def add_fill(envelope: Envelope[OrderFilled], tally: Tally) -> Sequence[Event]:
    """Handle a fill: one effect that is no repetition of itself, one answer."""
    fill = envelope.event
    await tally.add(fill.account, fill.quantity)
    return [an_alert(str(fill.trade_id), account=fill.account)]


class FrozenOwnership(Ownership):
    """Of a process that stands still: its connections are open, its lease is not renewed."""

    async def keep(self) -> None:
        """Do not renew."""


class DeafProducer(Producer):
    """Of a process that dies before it has published anything."""

    async def send(self, records: Sequence[tuple[WireRecord, int | None]]) -> None:
        """Refuse."""
        raise RetryableError(f"expected a broker for {len(records)} records, found none")


class ForgetfulDatabase(Database):
    """Commits, but says `losses` times that the answer to the commit was lost."""

    losses = 0

    def session(self) -> Session:
        """Return a session whose commits may go unanswered."""
        return ForgetfulSession(self)


class ForgetfulSession(Session):
    """A session of a `ForgetfulDatabase`."""

    def __init__(self, database: ForgetfulDatabase) -> None:
        super().__init__(database)
        self._forgetful = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Lend a transaction whose commit may go unanswered."""
        async with super().transaction() as transaction:
            yield transaction
        if self._forgetful.losses:
            self._forgetful.losses -= 1
            await self.give_back()
            raise RetryableError("expected the answer to COMMIT, found a closed connection")


@dataclass(frozen=True)
class Installation:
    """The cluster and the database of one test."""

    kafka: Kafka
    migrated: MigratedDatabase
    handled: list[int] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        """The database under the owners' role."""
        return self.migrated.url_of(ROLE)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Look into the database past the code under test."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def tally(self, account: str = "main") -> Decimal:
        """Return what an account has."""
        return await self.fetchval("SELECT quantity FROM tally WHERE account = $1", account) or Decimal(0)

    async def next_offset(self, topic: TopicName = TopicName.FILLS, partition: int = 0) -> int:
        """Return where the owner continues."""
        query = "SELECT next_offset FROM consumer_offsets WHERE role = $1 AND topic = $2 AND partition = $3"
        return await self.fetchval(query, ROLE, topic.value, partition) or 0

    async def owner_of(
        self,
        database: Database,
        *,
        holder: str = "one",
        handlers: TallyHandlers | None = None,
        topics: Sequence[TopicName] = (TopicName.FILLS,),
        producer: Producer | None = None,
        frozen: bool = False,
        on_owned: Callable[[], Awaitable[None]] | None = None,
    ) -> Owner[Tally]:
        """Return an owner over given connections."""
        claim = FrozenOwnership if frozen else Ownership
        return Owner(
            database=database,
            ownership=claim(dsn=self.dsn, role=ROLE, holder=holder, clock=CLOCK),
            relay=OutboxRelay(database=database, producer=producer or self.kafka.producer()),
            kafka=self.kafka,
            role=ROLE,
            topics=topics,
            handlers=handlers if handlers is not None else {OrderFilled: add_fill},
            bind=Tally,
            clock=CLOCK,
            on_owned=on_owned,
        )

    @asynccontextmanager
    async def owner(self, **options: Any) -> AsyncIterator[Owner[Tally]]:
        """Lend an owner with connections of its own, not running yet; its producer is closed with it."""
        database = await self.connect(options.get("holder", "one"))
        producer = options.pop("producer", None) or self.kafka.producer()
        try:
            yield await self.owner_of(database, producer=producer, **options)
        finally:
            await producer.close()
            await database.close()

    async def connect(self, holder: str) -> Database:
        """Connect as a process of the role does: a takeover ends its sessions by this name."""
        return await Database.connect(self.dsn, application=holder)
