"""What an account still holds while a halt has it sold."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cli.place import Place
from libs.common.contracts.events.control import ControlCommanded
from libs.common.errors import RetryableError

_POSITIONS: Final = """
    SELECT symbol, quantity FROM positions
    WHERE account = $1 AND is_open AND ($2::text IS NULL OR symbol = $2) AND ($3::text IS NULL OR strategy = $3)
    ORDER BY symbol
"""


class HoldingsWatch:
    """Tells what a halt that sells still holds; a database that is away has nothing to tell."""

    def __init__(self, place: Place, command: ControlCommanded, *, progress: Callable[[str], None]) -> None:
        self._place = place
        self._command = command
        self._progress = progress
        self._told: Sequence[Mapping[str, Any]] | None = None

    async def look(self) -> None:
        """Tell what is held, if that has changed."""
        if not self._command.liquidate:
            return
        held = await self.holdings()
        if held is None or held == self._told:
            return
        self._told = held
        names = ", ".join(f"{position['symbol']} {position['quantity']}" for position in held)
        self._progress(f"still held: {names}" if held else "nothing is held any more; the last sweep is under way")

    async def holdings(self) -> Sequence[Mapping[str, Any]] | None:
        """Return the open positions of the command's scope; None where nobody can say."""
        scope = self._command
        try:
            async with self._place.database() as database, database.connection() as connection:
                rows = await connection.fetch(_POSITIONS, scope.account, scope.scope_symbol, scope.scope_strategy)
        except (RetryableError, OSError):
            return None
        return [dict(row) for row in rows]
