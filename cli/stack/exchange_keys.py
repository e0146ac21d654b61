"""Which service is given which of the paper exchange's keys: each the one that it needs, in a file of its own."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from libs.embedded.directory import write_atomically

KEY_RIGHTS: Final[Mapping[str, str]] = {
    "trade_executor": "trade",
    "position_manager": "read",
    "watchdog": "watchdog",
}
"""Which of an account's keys at the exchange a service is given; the others get none."""

_KEY_OF: Final[Mapping[str, str]] = {"trade": "main", "read": "main-reader", "watchdog": "main-watchdog"}
"""What the paper exchange calls them."""


def write_key_files(keys_file: Path, file_of: Callable[[str], Path]) -> None:
    """Write a file for each right.

    Args:
        keys_file: The paper exchange's own.
        file_of: Returns where the key of a right goes.
    """
    keys = json.loads(keys_file.read_text(encoding="utf-8"))
    for right, name in _KEY_OF.items():
        write_atomically(file_of(right), json.dumps({"main": keys[name]}))


def installed_file(directory: Path, right: str) -> Path:
    """Return where a deployment's service finds the key of its right: each right has a directory of its own."""
    return directory / f"exchange-{right}" / "keys.json"
