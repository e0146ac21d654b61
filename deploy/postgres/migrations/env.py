"""Runs the numbered migrations on one connection, under a lock, each in a transaction of its own.

Only `libs.common.storage.migrations` starts it: the connection comes from there.
"""

from alembic import context
from sqlalchemy import Connection


def run(connection: Connection) -> None:
    """Apply what is missing."""
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
