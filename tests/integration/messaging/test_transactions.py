"""Whatever the round trips, a transaction is all or nothing and sees its own writes."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from libs.common.errors import OwnershipLostError, RetryableError
from libs.common.messaging.cause import Cause, enclose_all
from libs.common.messaging.sealing import seal
from libs.common.storage.postgres import Database
from libs.common.storage.transaction import Transaction, Write
from tests.support.owners import CLOCK, Installation, an_alert

ADD = "INSERT INTO tally VALUES ($1, $2)"
READ = "SELECT quantity FROM tally WHERE account = $1"
FAREWELL_FIELDS = b"SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
FAREWELL = b"E" + (4 + len(FAREWELL_FIELDS)).to_bytes(4, "big") + FAREWELL_FIELDS


@pytest.fixture
async def database(installation: Installation) -> AsyncIterator[Database]:
    database = await installation.connect("test")
    await installation.fetchval("INSERT INTO ownership (role, epoch, holder) VALUES ('test', 1, 'test') RETURNING 1")
    yield database
    await database.close()


def added(account: str, quantity: int = 1) -> Write:
    return Write(ADD, (account, Decimal(quantity)))


async def ended(transaction: Transaction, *, epoch: int = 1) -> None:
    envelopes = enclose_all([an_alert("told")], cause=Cause.none(), now=CLOCK.now())
    await seal(transaction, role="test", epoch=epoch, positions={}, envelopes=envelopes)


async def tally(installation: Installation) -> int:
    return int(await installation.fetchval("SELECT count(*) FROM tally"))


async def test_what_was_put_off_is_written_with_the_last_statement(installation: Installation, database: Database):
    async with database.transaction() as transaction:
        await transaction.defer(added("first"), added("second"))
        assert await tally(installation) == 0

        await ended(transaction)

    assert await tally(installation) == 2
    assert await installation.fetchval("SELECT count(*) FROM outbox") == 1


async def test_what_was_put_off_is_seen_by_what_follows(installation: Installation, database: Database):
    async with database.transaction() as transaction:
        await transaction.defer(added("main", 1))
        assert await transaction.fetchval(READ, "main") == 1
        await transaction.defer(Write("UPDATE tally SET quantity = quantity + $2 WHERE account = $1", ("main", 1)))
        await transaction.execute("UPDATE tally SET quantity = quantity * $2 WHERE account = $1", "main", Decimal(10))
        await transaction.defer(Write("UPDATE tally SET quantity = quantity + $2 WHERE account = $1", ("main", 3)))

    assert await installation.fetchval("SELECT quantity FROM tally") == 23


@pytest.mark.parametrize("has_begun", [False, True])
async def test_nothing_of_a_former_owner_is_written(installation: Installation, database: Database, *, has_begun: bool):
    async def write() -> None:
        async with database.transaction() as transaction:
            if has_begun:
                await transaction.execute(ADD, "other", Decimal(1))
            await transaction.defer(added("main"))
            await ended(transaction, epoch=2)

    with pytest.raises(OwnershipLostError):
        await write()

    assert await tally(installation) == 0
    assert await installation.fetchval("SELECT count(*) FROM outbox") == 0


async def test_an_error_takes_everything_back(installation: Installation, database: Database):
    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(ADD, "executed", Decimal(1))
            await transaction.executemany(ADD, [("many", Decimal(1))])
            assert await transaction.returning(f"{ADD} RETURNING quantity", "returned", Decimal(1)) is not None
            await transaction.defer(added("deferred"))
            raise KeyError

    with pytest.raises(KeyError):
        await write()

    assert await tally(installation) == 0


async def test_a_write_in_the_place_of_a_read_is_refused(installation: Installation, database: Database):
    with pytest.raises(ValueError, match="expected a SELECT, found 'INSERT INTO tally"):
        async with database.transaction() as transaction:
            await transaction.fetchrow(f"{ADD} RETURNING quantity", "main", Decimal(1))

    assert await tally(installation) == 0


async def test_a_server_that_has_said_farewell_is_a_lost_server(installation: Installation, database: Database):
    async def is_cut() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(ADD, "lost", Decimal(1))
            transaction._connection._con._protocol.data_received(FAREWELL)  # type: ignore[union-attr]

    with pytest.raises(RetryableError):
        await is_cut()

    assert await tally(installation) == 0


async def test_a_session_takes_another_connection_after_its_own_was_cut(installation: Installation, database: Database):
    session = database.session()
    async with session.transaction() as transaction:
        first = await transaction.fetchval("SELECT pg_backend_pid()")

    async def is_cut() -> None:
        async with session.transaction() as transaction:
            assert await transaction.fetchval("SELECT pg_backend_pid()") == first
            await transaction.execute(ADD, "lost", Decimal(1))
            await installation.fetchval(f"SELECT pg_terminate_backend({first})")

    with pytest.raises(RetryableError):
        await is_cut()

    async with session.transaction() as transaction:
        assert await transaction.fetchval("SELECT pg_backend_pid()") != first
        await transaction.execute(ADD, "kept", Decimal(1))
    assert await installation.fetchval("SELECT array_agg(account) FROM tally") == ["kept"]
