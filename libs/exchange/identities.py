"""Which account at the exchange is behind each of ours.

Invariant: no two of ours are one there: each would take the other's orders and balances for its own.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from libs.common.errors import ConfigurationError, RetryableError

_log = structlog.get_logger(__name__)


def refuse_shared_keys(keys: Mapping[str, str], *, where: str) -> None:
    """Refuse two accounts with one key.

    Args:
        keys: API keys by account.
        where: Which file they are from.

    Raises:
        ConfigurationError: There is such a pair.
    """
    owners: dict[str, str] = {}
    for account, key in keys.items():
        owner = owners.setdefault(key, account)
        if owner != account:
            raise ConfigurationError(
                where=where,
                expected=f"keys of different accounts for {owner} and {account}",
                found="the same key twice",
                hint="give each the key of an account or sub-account of its own, or configure one of them only",
            )


class Identities:
    """Remembers the exchange's own ids of our accounts."""

    def __init__(self) -> None:
        self._accounts: dict[str, str] = {}

    def note(self, account: str, identity: str | None) -> None:
        """Take note of the exchange's id of an account; None where it tells none.

        Raises:
            ConfigurationError: Another account of ours has the same one.
        """
        if identity is None:
            return
        other = self._accounts.setdefault(identity, account)
        if other != account:
            raise ConfigurationError(
                where="exchange.accounts",
                expected=f"keys of different accounts for {other} and {account}",
                found=f"the exchange's account {identity} behind both",
                hint="Give each its own account or sub-account at the exchange, or configure one of them only.",
            )

    async def find_out(self, accounts: Collection[str], ask: Callable[[str], Awaitable[str | None]]) -> None:
        """Ask who each account is at the exchange, before any of them is traded; one alone cannot be another.

        Raises:
            ConfigurationError: Two are one. Who cannot be asked now is found out when its books are compared.
        """
        for account in accounts if len(accounts) > 1 else ():
            try:
                self.note(account, await ask(account))
            except RetryableError as error:
                _log.warning("Not told yet who an account is at the exchange", account=account, error=str(error))
