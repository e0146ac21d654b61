"""Which service is given which of the paper exchange's keys: each the one that it needs, in a file of its own."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from libs.common.errors import ConfigurationError
from libs.embedded.directory import write_atomically

KEY_RIGHTS: Final[Mapping[str, str]] = {
    "trade_executor": "trade",
    "position_manager": "read",
    "watchdog": "watchdog",
}
"""Which of an account's keys at the exchange a service is given; the others get none."""

VISITOR: Final = "visitor"
"""The exchange's account of other programs, which nobody of ours trades."""

_ENDINGS: Final[Mapping[str, str]] = {"trade": "", "read": "-reader", "watchdog": "-watchdog"}
"""What the paper exchange calls them: after their account, and so."""


def refuse_visitor(accounts: Collection[str], *, where: str) -> None:
    """Refuse accounts with the visitor among them.

    Raises:
        ConfigurationError: It is.
    """
    if VISITOR in accounts:
        raise ConfigurationError(
            where=f"{where}: exchange.accounts",
            expected="accounts of the system's own",
            found=f"{VISITOR}, which the paper exchange keeps for other programs",
            hint="give it another name",
        )


def write_key_files(keys_file: Path, file_of: Callable[[str], Path]) -> None:
    """Write a file for each right, with the keys of every account that has them all.

    Args:
        keys_file: The paper exchange's own.
        file_of: Returns where the key of a right goes.
    """
    keys = json.loads(keys_file.read_text(encoding="utf-8"))
    accounts = [name for name in keys if all(f"{name}{ending}" in keys for ending in _ENDINGS.values())]
    for right, ending in _ENDINGS.items():
        write_atomically(file_of(right), json.dumps({account: keys[f"{account}{ending}"] for account in accounts}))


def installed_file(directory: Path, right: str) -> Path:
    """Return where a deployment's service finds the key of its right: each right has a directory of its own."""
    return directory / f"exchange-{right}" / "keys.json"
