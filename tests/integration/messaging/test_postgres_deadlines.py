"""Postgres: whatever the server does, an answer or a retryable error comes in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from libs.common.errors import RetryableError
from libs.common.storage.postgres import ACQUIRE_TIMEOUT_S, COMMAND_TIMEOUT_S, Database
from tests.support.dead_ends import Relay, relay_to, silent_server
from tests.support.owners import CLOCK

SLACK_S = 1.5


async def test_a_statement_that_takes_too_long_is_given_up(database: str) -> None:
    async with _connected(database) as connected:
        began_s = CLOCK.monotonic_s()
        with pytest.raises(RetryableError):
            await _ask(connected, "SELECT pg_sleep(60)")

        assert CLOCK.monotonic_s() - began_s < COMMAND_TIMEOUT_S + SLACK_S
        assert await connected.ping()


async def test_a_pool_that_is_used_up_says_so_in_time(database: str) -> None:
    async with _connected(database, connections_max=1) as connected, connected.connection():
        began_s = CLOCK.monotonic_s()
        with pytest.raises(RetryableError):
            await connected.ping()

        assert CLOCK.monotonic_s() - began_s < ACQUIRE_TIMEOUT_S + SLACK_S


async def test_a_server_that_falls_silent_within_a_transaction_is_given_up(database: str) -> None:
    async with _relayed(database) as (relay, url), _connected(url) as connected:
        began_s = CLOCK.monotonic_s()
        with pytest.raises(RetryableError):
            await _fall_silent_within_a_transaction(connected, relay)

        # The statement, its cancellation, the rollback and the release, each with its bound.
        assert CLOCK.monotonic_s() - began_s < 4 * COMMAND_TIMEOUT_S


async def test_a_connection_that_is_cut_is_replaced(database: str) -> None:
    async with _relayed(database) as (relay, url), _connected(url) as connected:
        assert await connected.ping()
        await relay.cut()

        with pytest.raises(RetryableError):
            await connected.ping()

        assert await connected.ping()


async def test_a_cut_within_a_transaction_is_retryable(database: str) -> None:
    async with _relayed(database) as (relay, url), _connected(url) as connected:
        with pytest.raises(RetryableError):
            await _cut_within_a_transaction(connected, relay)

        assert await connected.ping()


async def test_a_server_that_falls_silent_after_the_answer_undoes_nothing(database: str) -> None:
    async with _relayed(database) as (relay, url), _connected(url) as connected:
        began_s = CLOCK.monotonic_s()
        async with connected.connection() as connection:
            answer = await connection.fetchval("SELECT 42")
            relay.silence()  # the connection cannot be made ready for the next user

        assert answer == 42
        assert CLOCK.monotonic_s() - began_s < 2 + SLACK_S


async def test_a_server_that_ends_our_session_is_retryable(database: str) -> None:
    async with _connected(database) as connected:
        with pytest.raises(RetryableError):
            await _ask(connected, "SELECT pg_terminate_backend(pg_backend_pid())")

        assert await connected.ping()


async def test_no_connection_is_retryable() -> None:
    with pytest.raises(RetryableError):
        await Database.connect("postgresql://nobody:nothing@127.0.0.1:1/nowhere", application="test")


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with silent_server() as port:
        began_s = CLOCK.monotonic_s()
        with pytest.raises(RetryableError):
            await Database.connect(f"postgresql://nobody:nothing@127.0.0.1:{port}/nowhere", application="test")

    assert CLOCK.monotonic_s() - began_s < 6 + SLACK_S


async def test_an_error_of_ours_in_the_database_is_no_lost_server(database: str) -> None:
    async with _connected(database) as connected:
        with pytest.raises(asyncpg.UndefinedTableError):
            await _ask(connected, "SELECT * FROM nothing")
        with pytest.raises(asyncpg.InterfaceError):
            await _two_statements_at_once(connected)

        assert await connected.ping()


async def test_decimals_and_documents_come_back_as_they_went_in(database: str) -> None:
    async with _connected(database) as connected, connected.connection() as connection:
        number, document = await connection.fetchrow(
            "SELECT $1::numeric AS number, $2::jsonb AS document", Decimal("0.10"), {"price": Decimal("0.10")}
        ) or (None, None)

    assert str(number) == "0.10"
    assert document == {"price": "0.10"}


async def test_a_pool_that_does_not_close_is_closed_by_force(database: str) -> None:
    connected = await Database.connect(database, application="test")
    async with connected.connection():
        began_s = CLOCK.monotonic_s()
        await connected.close()

        assert CLOCK.monotonic_s() - began_s < 2 + SLACK_S


@asynccontextmanager
async def _connected(url: str, *, connections_max: int = 2) -> AsyncIterator[Database]:
    connected = await Database.connect(url, application="test", connections_max=connections_max)
    try:
        yield connected
    finally:
        await connected.close()


@asynccontextmanager
async def _relayed(url: str) -> AsyncIterator[tuple[Relay, str]]:
    parts = urlsplit(url)
    async with relay_to(parts.hostname or "", parts.port or 0) as relay:
        netloc = f"{parts.username}:{parts.password}@127.0.0.1:{relay.port}"
        yield relay, urlunsplit(parts._replace(netloc=netloc))


async def _ask(connected: Database, query: str) -> None:
    async with connected.connection() as connection:
        await connection.execute(query)


async def _fall_silent_within_a_transaction(connected: Database, relay: Relay) -> None:
    async with connected.transaction() as connection:
        await connection.execute("SELECT 1")
        relay.silence()
        await connection.execute("SELECT 2")


async def _cut_within_a_transaction(connected: Database, relay: Relay) -> None:
    async with connected.transaction() as connection:
        await connection.execute("SELECT 1")
        await relay.cut()
        await connection.execute("SELECT 2")


async def _two_statements_at_once(connected: Database) -> None:
    async with connected.connection() as connection:
        await asyncio.gather(connection.execute("SELECT pg_sleep(0.2)"), connection.execute("SELECT 1"))
