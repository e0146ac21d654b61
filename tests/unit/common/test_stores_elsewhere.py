"""Stores of a provider are reached by settings alone, and believed only under their names."""

import asyncio
import ssl
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio.connection import SSLConnection
from sqlalchemy.exc import DBAPIError

from libs.common.errors import RetryableError
from libs.common.messaging.kafka import Kafka
from libs.common.settings import CERTIFICATES, ServiceSettings
from libs.common.storage.migrations import ROLES, upgrade_database
from libs.common.storage.redis import RedisStore
from tests.support.authority import make_authority

SSL_REQUEST_BYTES = 8
"""What a client of Postgres sends first: it wants TLS."""


def test_a_managed_cluster_is_told_by_its_own_mechanism_and_believed_by_its_own_authority(tmp_path: Path):
    authority, _ = make_authority(tmp_path, server_name="kafka.test")
    (tmp_path / "kafka-KEY.1-A").write_text("pass")
    settings = ServiceSettings(
        secrets_dir=tmp_path,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="PLAIN",
        kafka_user="KEY.1-A",
        ca_file=authority,
    )

    connection = Kafka("kafka.test:9092", client_id="test", login=settings.kafka_login("watchdog")).connection

    assert (connection["sasl_mechanism"], connection["sasl_plain_username"]) == ("PLAIN", "KEY.1-A")
    assert [dict(found["subject"][0])["commonName"] for found in authorities_of(connection["ssl_context"])] == [
        "an authority"
    ]
    assert connection["ssl_context"].check_hostname is True


def authorities_of(context: ssl.SSLContext) -> list[dict[str, tuple[tuple[tuple[str, str], ...], ...]]]:
    return context.get_ca_certs()  # type: ignore[return-value]


def test_redis_over_tls_is_believed_under_its_name_alone(tmp_path: Path):
    authority, _ = make_authority(tmp_path, server_name="cache.test")
    (tmp_path / "redis").write_text("secret")
    settings = ServiceSettings(secrets_dir=tmp_path, redis_address="cache.test:6380/0", redis_tls=True)
    ours = settings.model_copy(update={"ca_file": authority})

    options = RedisStore.connect(ours.redis_url(), name="test").client.connection_pool.connection_kwargs

    assert settings.redis_url() == "rediss://:secret@cache.test:6380/0"
    assert (options["host"], options["ssl_ca_certs"]) == ("cache.test", str(authority))
    connection = SSLConnection(**options)
    assert (connection.check_hostname, connection.cert_reqs) == (True, ssl.CERT_REQUIRED)


@pytest.mark.parametrize("name", ["localhost", "db.test"])
async def test_postgres_over_tls_is_believed_under_its_name_alone(tmp_path: Path, name: str):
    authority, context = make_authority(tmp_path, server_name=name)
    (tmp_path / "postgres-reader").write_text("secret")
    greetings: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(SSL_REQUEST_BYTES)
        writer.write(b"S")
        await writer.drain()
        try:
            await writer.start_tls(context)
            greetings.append(await reader.read(1_000))
        except (OSError, ssl.SSLError):
            return
        finally:
            writer.close()

    async with await asyncio.start_server(greet, "localhost", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = ServiceSettings(
            secrets_dir=tmp_path, postgres_address=f"localhost:{port}/trader", postgres_tls=True, ca_file=authority
        )
        with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):  # none of them is a database
            await asyncpg.connect(settings.postgres_dsn("reader"), timeout=10)
        with pytest.raises((DBAPIError, RetryableError, OSError)):
            await asyncio.to_thread(upgrade, settings)

    assert len(greetings) == (2 if name == "localhost" else 0)
    assert all(b"user\0" in greeting for greeting in greetings)


def upgrade(settings: ServiceSettings) -> None:
    upgrade_database(
        address=settings.postgres_address,
        owner="reader",
        password="secret",
        role_passwords=dict.fromkeys(ROLES, "secret"),
        authorities=settings.postgres_authorities,
    )


def test_postgres_is_believed_by_the_machines_authorities_unless_others_are_named(tmp_path: Path):
    (tmp_path / "postgres-reader").write_text("secret")
    settings = ServiceSettings(secrets_dir=tmp_path, postgres_address="db.test:5432/trader", postgres_tls=True)

    assert settings.postgres_dsn("reader") == (
        f"postgresql://reader:secret@db.test:5432/trader?sslmode=verify-full&sslrootcert={CERTIFICATES}"
    )
    assert ServiceSettings(secrets_dir=tmp_path).postgres_authorities is None
