"""What the executor found when it compared our books with the exchange, read from its view."""

from collections.abc import Sequence
from typing import Final

from libs.common.storage.postgres import Database
from services.risk_manager.domain.resuming import OpenDifference

_DIFFERENCES: Final = """
    SELECT id::text AS difference_id, symbol, kind || ' ' || subject AS subject, expected, found
    FROM reading.differences WHERE account = $1 AND accepted_at IS NULL ORDER BY id
"""


class PostgresReconciliation:
    """Implements `Reconciliation`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differences(self, account: str) -> Sequence[OpenDifference]:
        """Return the differences that nobody has settled.

        Raises:
            RetryableError: The database is away.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DIFFERENCES, account)
        return [OpenDifference(**dict(row)) for row in rows]
