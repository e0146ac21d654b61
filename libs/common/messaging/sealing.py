"""The last statement of an owner's transaction: proves the epoch, moves the positions, appends the answers.

One statement, because each one costs the order on its way to the exchange a round trip. It may come last: whoever
still owns the role at the end, under a lock that lasts until the commit, has owned it all along.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from libs.common.contracts.codec import WireRecord, encode
from libs.common.contracts.event import Envelope, Event
from libs.common.errors import OwnershipLostError, TraderError
from libs.common.messaging.positions import Positions
from libs.common.storage.transaction import Transaction

NO_ACCOUNT: Final = ""
"""The order in which events without an account of their own are published."""

_SEAL: Final = """
    WITH owned AS (
        SELECT role FROM ownership WHERE role = $1 AND epoch = $2 FOR SHARE
    ), advanced AS (
        INSERT INTO consumer_offsets AS current (role, topic, partition, next_offset, last_event_id)
        SELECT $1, position.* FROM unnest($3::text[], $4::int[], $5::bigint[], $6::text[]) AS position
        ON CONFLICT (role, topic, partition)
        DO UPDATE SET next_offset = excluded.next_offset, last_event_id = excluded.last_event_id
        WHERE current.next_offset < excluded.next_offset
        RETURNING 1
    ), entry AS (
        SELECT *, row_number() OVER (PARTITION BY account ORDER BY ordinal) AS place,
               count(*) OVER (PARTITION BY account) AS places
        FROM unnest($7::text[], $8::text[], $9::text[], $10::text[], $11::jsonb[])
            WITH ORDINALITY AS entry (account, topic, key, value, headers, ordinal)
    ), head AS (
        INSERT INTO outbox_heads AS current (account, sequence)
        SELECT account, count(*) FROM entry GROUP BY account ORDER BY account
        ON CONFLICT (account) DO UPDATE SET sequence = current.sequence + excluded.sequence
        RETURNING account, sequence
    ), appended AS (
        INSERT INTO outbox (account, sequence, topic, key, value, headers, recorded_at)
        SELECT account, head.sequence - places + place, topic, key, value, headers, clock_timestamp()
        FROM entry JOIN head USING (account)
    ), proof AS (
        SELECT prove_seal(
            owns => EXISTS (SELECT FROM owned),
            moves => (SELECT count(*) FROM advanced) = cardinality($3::text[])
        )
    )
    SELECT head.account, head.sequence FROM proof LEFT JOIN head ON true
"""
"""The proof fails the statement, and all that was written with it. A position that was there already does not move."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event of the outbox; within an account, sequences follow each other without a gap."""

    account: str
    sequence: int
    record: WireRecord


class CommittedUnseenError(TraderError):
    """A transaction had committed, or may have, and its answer was lost.

    What the process keeps in memory beside the database is behind it: the restart reads it again.
    """

    def __init__(self, role: str, *, positions: Positions) -> None:
        places = ", ".join(f"{topic}/{partition}:{at.next_offset}" for (topic, partition), at in positions.items())
        found = (
            f"expected to move on to {places}, found that it had been done; the transaction had committed although the "
            "connection failed"
            if positions
            else "expected the answer to a commit, found none; it may have taken effect"
        )
        super().__init__(f"{role}: {found}: start again from what is stored")


async def seal(
    transaction: Transaction, *, role: str, epoch: int, positions: Positions, envelopes: Sequence[Envelope[Event]]
) -> Sequence[OutboxRow]:
    """End an owner's transaction; return what it leaves in the outbox.

    Args:
        transaction: With the owner's schema as search path.
        role: The owner's.
        epoch: Under which it writes.
        positions: Where reading continues; empty if the input did not come from Kafka.
        envelopes: What is published after the commit, in this order for each account.

    Raises:
        OwnershipLostError: Another process owns the role now.
        CommittedUnseenError: The input was handled before.
    """
    records = [(getattr(envelope.event, "account", None) or NO_ACCOUNT, encode(envelope)) for envelope in envelopes]
    try:
        found = await transaction.end(
            _SEAL,
            role,
            epoch,
            [topic.value for topic, _ in positions],
            [partition for _, partition in positions],
            [position.next_offset for position in positions.values()],
            [position.last_event_id for position in positions.values()],
            [account for account, _ in records],
            [record.topic.value for _, record in records],
            [record.key for _, record in records],
            [record.value.decode() for _, record in records],
            [{name: content.decode() for name, content in record.headers} for _, record in records],
        )
    except asyncpg.RaiseError as error:
        match str(error):
            case "NOT THE OWNER":
                raise OwnershipLostError(role, epoch=epoch) from error
            case "COMMITTED BEFORE":
                raise CommittedUnseenError(role, positions=positions) from error
        raise
    return _numbered(records, heads={row["account"]: row["sequence"] for row in found})


def _numbered(records: Sequence[tuple[str, WireRecord]], *, heads: dict[str, int]) -> list[OutboxRow]:
    before = {account: heads[account] - count for account, count in Counter(account for account, _ in records).items()}
    rows = []
    for account, record in records:
        before[account] += 1
        rows.append(OutboxRow(account, before[account], record))
    return rows
