"""`trader access apply`, `trader db upgrade`, `trader topics apply`: the set-up jobs, run before the services."""

import asyncio

import typer

from cli.errors import CommandError, ExitStatus
from cli.output import tell
from libs.common.errors import RetryableError

access = typer.Typer(help="Kafka's users and access lists.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)
topics = typer.Typer(help="The Kafka topics.", no_args_is_help=True)

OWNER = "postgres"


@access.command("apply")
def apply_access() -> None:
    """Make Kafka's users and allow each what it needs and nothing else; settings come from TRADER_… variables."""
    from cli.deployment import kafka_access  # noqa: PLC0415 - aiokafka costs half a second
    from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415

    settings = load_settings(ServiceSettings)
    try:
        users, added, removed = kafka_access.apply_access(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            password=lambda user: settings.secret(f"kafka-{user}"),
            topic_prefix=settings.topic_prefix,
        )
    except RetryableError as error:
        raise CommandError(str(error), hint="Is Kafka running?", status=ExitStatus.NOT_RUNNING) from error
    tell(f"{users} users; {added} entries added, {removed} removed.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the database to the newest version; settings come from TRADER_… variables."""
    from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415 - pydantic costs 200 ms
    from libs.common.storage.migrations import LOGINS, newest_known, upgrade_database  # noqa: PLC0415

    settings = load_settings(ServiceSettings)
    try:
        version = upgrade_database(
            address=settings.postgres_address,
            owner=OWNER,
            password=settings.secret(f"postgres-{OWNER}"),
            role_passwords={role: settings.secret(f"postgres-{role}") for role in LOGINS},
            authorities=settings.postgres_authorities,
        )
    except RetryableError as error:
        raise CommandError(str(error), hint="Is Postgres running?", status=ExitStatus.NOT_RUNNING) from error
    newer = f", newer than this program's {newest_known()}, which can run on it" if version > newest_known() else ""
    tell(f"The database is at version {version}{newer}.")


@topics.command("apply")
def apply() -> None:
    """Create missing topics and bring the settings of the others in line; settings come from TRADER_… variables."""
    from libs.common.messaging.administration import apply_topics  # noqa: PLC0415 - aiokafka costs half a second
    from libs.common.messaging.kafka import Kafka  # noqa: PLC0415
    from libs.common.settings import ServiceSettings, load_settings  # noqa: PLC0415

    settings = load_settings(ServiceSettings)
    kafka = Kafka(
        settings.kafka_bootstrap_servers,
        client_id="trader",
        topic_prefix=settings.topic_prefix,
        login=settings.kafka_login("trader"),
    )
    try:
        created = asyncio.run(apply_topics(kafka, replication=settings.kafka_replication))
    except RetryableError as error:
        raise CommandError(str(error), hint="Is Kafka running?", status=ExitStatus.NOT_RUNNING) from error
    tell(f"Created {', '.join(created)}." if created else "Every topic was there already.")
