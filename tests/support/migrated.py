"""A database with every migration applied, fresh for each test (`migrated`, from the root conftest)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import pytest

from libs.common.storage import migrations
from libs.common.storage.postgres import Database
from tests.support.stores import PostgresForTests

PASSWORD = "of-a-test"


@dataclass(frozen=True)
class MigratedDatabase:
    """Addresses of one migrated database."""

    url: str

    def url_of(self, role: str) -> str:
        """Return the address under a role of the migrations."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"))

    async def connect(self, role: str) -> Database:
        """Connect as a service does."""
        return await Database.connect(self.url_of(role), application="test", connections_max=2)


@pytest.fixture
async def migrated(postgres: PostgresForTests) -> AsyncIterator[MigratedDatabase]:
    template = await postgres.template("migrated", _migrate)
    url = await postgres.fresh_database(template)
    yield MigratedDatabase(url)
    await postgres.drop(url)


async def _migrate(url: str) -> None:
    parts = urlsplit(url)
    await asyncio.to_thread(
        migrations.upgrade_database,
        address=f"{parts.hostname}:{parts.port}{parts.path}",
        owner=parts.username or "",
        password=parts.password or "",
        role_passwords=dict.fromkeys(migrations.ROLES, PASSWORD),
    )
