"""A key silences the emergencies of its own accounts, and no others."""

import uuid
from collections.abc import AsyncIterator

import pytest

from libs.common.configuration import LiveConfiguration, parse_configuration
from libs.common.contracts.event import Envelope
from libs.common.contracts.events import CommandAcknowledged
from libs.common.contracts.vocabulary import AlertType, Severity
from libs.common.control.commands import issue_command
from libs.common.control.operators import OperatorKey, Operators
from libs.common.storage.postgres import Database
from services.notifier.service.acknowledging import Acknowledgements
from tests.support.migrated import MigratedDatabase
from tests.support.notifier_desk import a_desk

KEYS = {"alice": OperatorKey.generate(), "bob": OperatorKey.generate()}
OPERATORS = (
    Operators({}).with_key(KEYS["alice"], issuer="alice").with_key(KEYS["bob"], issuer="bob", accounts=("main",))
)
LIVE = LiveConfiguration(parse_configuration({"exchange": {"accounts": ["main", "second"]}}, where="test"))


@pytest.fixture
async def database(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    database = await migrated.connect("notifier")
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("issuer", "of", "named", "accepted"),
    [
        ("alice", "main", "main", True),
        ("alice", None, "main", True),
        ("alice", "second", "main", False),  # the command must name the alert's account
        ("bob", "main", "main", True),
        ("bob", "second", "main", False),
        ("bob", "second", "second", False),
        ("bob", None, "main", False),  # it is the emergency of all accounts
    ],
)
async def test_an_emergency_is_acknowledged_only_by_a_key_for_all_that_it_is_about(
    database, issuer, of, named, accepted
):
    desk = a_desk(database)
    alert = await desk.raise_alert(AlertType.EMERGENCY_STOP, severity=Severity.CRITICAL, account=of)
    handler = Acknowledgements(alerts=desk.alerts, operators=lambda: OPERATORS, live=LIVE, clock=desk.clock)
    command = issue_command(
        "ACKNOWLEDGE",
        account=named,
        reason="seen",
        issuer=issuer,
        key=KEYS[issuer],
        command_id=uuid.uuid4(),
        now=desk.clock.now(),
        alert=alert.event_id,
    )

    (answer,) = await handler.on_command(
        Envelope(event=command, event_id=command.command_id, recorded_at=command.occurred_at)
    )

    assert isinstance(answer, CommandAcknowledged)
    assert answer.accepted is accepted, answer.reason
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT acknowledged_by FROM alerts") == (issuer if accepted else None)
