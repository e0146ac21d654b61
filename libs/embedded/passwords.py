"""Passwords of the stack, made at its first start and kept in files that only its user can read."""

import secrets
from pathlib import Path

from libs.embedded.directory import write_atomically

PASSWORD_BYTES = 24


class Passwords:
    """One file a name, in a directory of mode 0700.

    Args:
        directory: Where they are; it exists.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def password(self, name: str) -> str:
        """Return the password of a name, made when it is asked for the first time."""
        path = self._directory / name
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(PASSWORD_BYTES))
        return path.read_text(encoding="utf-8").strip()
