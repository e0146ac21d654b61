"""The stored versions of the configuration, as the reader's role sees them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from cli.errors import CommandError, ExitStatus
from cli.output import tell
from cli.place import Place
from libs.common.configuration.changes import changes_between, only_at_start, stored_configuration
from libs.common.configuration.mistakes import shown
from libs.common.errors import RetryableError

_NEWEST: Final = "SELECT * FROM configuration_versions ORDER BY version DESC LIMIT 1"
_ALL: Final = """
    SELECT version, created_at, issuer, reason, changes, loosened, hash FROM configuration_versions ORDER BY version
"""
_DAILY_LOSS_LIMIT_PCT: Final = """
    SELECT coalesce(configuration #>> ARRAY['accounts', $1, 'risk_management', 'daily_loss_limit_pct'],
                    configuration #>> '{risk_management,daily_loss_limit_pct}')
    FROM configuration_versions ORDER BY version DESC LIMIT 1
"""


async def read_version(place: Place) -> Mapping[str, Any]:
    """Return the version in force.

    Raises:
        CommandError: None is stored yet.
    """
    async with place.database() as database, database.connection() as connection:
        row = await connection.fetchrow(_NEWEST)
    if row is None:
        raise CommandError(
            "expected a stored configuration, found none",
            hint="The risk manager stores it with its first start; see `trader ps`.",
            status=ExitStatus.NOT_RUNNING,
        )
    return dict(row)


async def daily_loss_limit_pct(place: Place, account: str) -> Decimal | None:
    """Return an account's limit in force; None before the first start."""
    async with place.database() as database, database.connection() as connection:
        limit_pct = await connection.fetchval(_DAILY_LOSS_LIMIT_PCT, account)
    return None if limit_pct is None else Decimal(limit_pct)


async def read_versions(place: Place) -> Sequence[Mapping[str, Any]]:
    """Return every version, oldest first."""
    async with place.database() as database, database.connection() as connection:
        return [dict(row) for row in await connection.fetch(_ALL)]


async def warn_of_files(place: Place) -> None:
    """Tell whoever starts a stack which values of the files do not hold; nothing where they cannot be compared."""
    with suppress(CommandError, RetryableError):
        tell_differences(place, await read_version(place))


def tell_differences(place: Place, stored: Mapping[str, Any]) -> None:
    """Tell a person what the files of the last start say otherwise."""
    for key, value in differing_files(place, stored).items():
        tell(f"warning: the file says {key} = {value}, but version {stored['version']} holds; see `trader config show`")


def differing_files(place: Place, stored: Mapping[str, Any]) -> dict[str, str]:
    """Return what the files of the last start say otherwise, by key; what only a start can change is theirs anyway."""
    held = stored_configuration(stored["configuration"], stored["origins"], version=stored["version"]).configuration
    changes = changes_between(held, place.configuration())
    return {change.key: shown(change.after) for change in changes if only_at_start(change.key) is None}
