"""The secret files of a deployment, made once; and what is derived from them.

Invariant: no secret is ever overwritten, unless it is rotated by its name. What is derived from secrets (access lists
with hashed passwords, public keys) is written anew whenever it would differ.

Docker mounts each file alone, with the mode that it has outside, into containers of several accounts. So the files are
readable and their directory is closed: outside only its owner comes in, inside only who was given the file.
"""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.deployment.redis_access import EXPORTER, access_list
from cli.errors import CommandError, ExitStatus
from cli.keyring import FIRST_ISSUER
from libs.common.audit.anchors import load_or_create_key, public_key_path, public_pem
from libs.common.control.operators import OperatorKey, Operators
from libs.common.permissions import PERMISSIONS, secret_names

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o444
TO_FILL_IN_MODE: Final = 0o644
PASSWORD_BYTES: Final = 24

TOKENS: Final = ("alertmanager-webhook", "grafana-admin", f"redis-{EXPORTER}")
"""Passwords of what is no process of ours."""

TO_FILL_IN: Final[Mapping[str, str]] = {
    "notification-channels": "{}\n",
    "dead-man-url": "",
    "watchdog-webhooks": "",
}
"""What only the user knows, and what stands there until then: neither channels nor a dead man's switch."""

OPERATOR_KEY: Final = "operator.pem"
OPERATORS: Final = "operators.json"
ANCHOR_KEY: Final = "audit-anchor-key"
REDIS_ACCESS: Final = "redis-users.acl"

EXPORTER_PASSWORDS: Final = f"redis-{EXPORTER}.json"
EXPORTER_ADDRESS: Final = f"redis://{EXPORTER}@redis:6379"
"""How the exporter names Redis, and so finds its password in the file."""

_AT_THE_EXCHANGE: Final = "Make another key at the exchange, write it into this file, and delete the old one there."
_WRITTEN_BY_HAND: Final = "Write the new addresses into the file yourself."

LIVE_KEYS: Final = ("exchange-trade.json", "exchange-read.json", "exchange-watchdog.json")
"""What trading for real needs besides: the exchange's keys, which nobody but the exchange can make."""


ROTATED_OTHERWISE: Final[Mapping[str, str]] = {
    OPERATOR_KEY: "`trader keys new` makes a successor, and `trader keys revoke` ends this one.",
    ANCHOR_KEY: "It vouches for all anchors so far, and a new one could not.",
    **dict.fromkeys(TO_FILL_IN, _WRITTEN_BY_HAND),
    **dict.fromkeys(LIVE_KEYS, _AT_THE_EXCHANGE),
}
"""How the secrets that are no passwords of ours are replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of the directory.

    Attributes:
        written: Files that were not there, or were derived anew.
        kept: Files that were there.
        missing: Files that only the user can add, for trading for real.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    missing: tuple[str, ...]


def make_secrets(directory: Path) -> Made:
    """Write what is missing; return what is there now.

    Raises:
        ConfigurationError: The key of the audit log is none.
        OSError: The directory cannot be used.
    """
    directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    directory.chmod(DIRECTORY_MODE)
    written: list[str] = []
    kept: list[str] = []

    def make(name: str, content: Callable[[], bytes], *, mode: int = FILE_MODE) -> None:
        path = directory / name
        (kept if path.exists() else written).append(name)
        if not path.exists():
            _write(path, content(), mode=mode)

    def derive(name: str, content: bytes) -> None:
        path = directory / name
        is_same = path.exists() and path.read_bytes() == content
        (kept if is_same else written).append(name)
        if not is_same:
            _write(path, content)

    for name, content in TO_FILL_IN.items():
        make(name, content.encode, mode=TO_FILL_IN_MODE)
    for name in (*secret_names(), *TOKENS):
        make(name, _password)
    make(OPERATOR_KEY, lambda: _operator_key(directory))
    make(ANCHOR_KEY, lambda: _anchor_key(directory))
    users = [name for name, permissions in PERMISSIONS.items() if permissions.redis]
    passwords = {user: (directory / f"redis-{user}").read_text().strip() for user in (*users, EXPORTER)}
    anchor_key = directory / ANCHOR_KEY
    derive(public_key_path(anchor_key).name, public_pem(load_or_create_key(anchor_key)))
    derive(REDIS_ACCESS, access_list(passwords).encode())
    derive(EXPORTER_PASSWORDS, json.dumps({EXPORTER_ADDRESS: passwords[EXPORTER]}).encode())
    missing = tuple(name for name in LIVE_KEYS if not (directory / name).exists())
    return Made(written=tuple(sorted(written)), kept=tuple(sorted(kept)), missing=missing)


def rotate_secrets(directory: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Make passwords anew, and what is derived from them; return the files that are others now.

    Raises:
        CommandError: A name is not that of a password that was made here; nothing was changed.
    """
    passwords = sorted((*secret_names(), *TOKENS))
    for name in names:
        if name not in passwords:
            raise CommandError(
                f"NAME: expected one of {', '.join(passwords)}, found {name}",
                hint=f"{ROTATED_OTHERWISE.get(name, 'It is no password that is made here.')} Nothing was changed.",
                status=ExitStatus.USAGE,
            )
        if not (directory / name).exists():
            raise CommandError(
                f"{directory / name}: expected a secret file, found none",
                hint="Name the directory with --directory. Nothing was changed.",
                status=ExitStatus.USAGE,
            )
    for name in names:
        _write(directory / name, _password())
    return (*names, *make_secrets(directory).written)


def enrol_operator(directory: Path, operators_file: Path) -> bool:
    """Let the operator's key command, where nobody does yet; return whether that was so.

    Who commands is changed by `trader keys` from then on.
    """
    if operators_file.exists():
        return False
    key = OperatorKey.load(directory / OPERATOR_KEY)
    Operators({}).with_key(key, issuer=FIRST_ISSUER).save(operators_file)
    return True


def _password() -> bytes:
    return secrets.token_urlsafe(PASSWORD_BYTES).encode()


def _write(path: Path, content: bytes, *, mode: int = FILE_MODE) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _operator_key(directory: Path) -> bytes:
    path = directory / f".{OPERATOR_KEY}.new"
    path.unlink(missing_ok=True)
    OperatorKey.generate().save(path)
    try:
        return path.read_bytes()
    finally:
        path.unlink()


def _anchor_key(directory: Path) -> bytes:
    path = directory / f".{ANCHOR_KEY}.new"
    path.unlink(missing_ok=True)
    load_or_create_key(path)
    try:
        return path.read_bytes()
    finally:
        path.unlink()
        public_key_path(path).unlink()
