"""The operators' keys of a data directory: the file of public keys, and the private ones that lie here.

Invariant: the operators file alone says whose commands count. Services read it again whenever it changes, so that a
revocation needs nothing that runs.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cli.errors import CommandError, ExitStatus
from cli.place import Place
from libs.common.control.operators import Operator, OperatorKey, Operators
from libs.common.errors import ConfigurationError
from libs.embedded.directory import DataDirectory

FIRST_ISSUER: Final = "operator"
"""The name of the key that the first start makes."""

KEY_FILE_VARIABLE: Final = "TRADER_OPERATOR_KEY_FILE"
"""Names the key to sign with, where it is not the data directory's own."""


def operators_file(root: Path) -> Path:
    """Return where the public keys of a data directory are."""
    return root / "operators.json"


def read_operators(root: Path) -> Operators:
    """Return the operators of a data directory.

    Raises:
        CommandError: Nothing was ever started there.
    """
    path = operators_file(root)
    if not path.exists():
        raise CommandError(
            f"{path}: expected the operators of a stack, found no such file",
            hint="Start the stack once with `trader up`, or name its directory with --data-dir.",
            status=ExitStatus.NOT_RUNNING,
        )
    return Operators.load(path)


def change_operators(directory: DataDirectory, change: Callable[[Operators], Operators]) -> Operators:
    """Replace the operators by what a change makes of them, one change at a time.

    Raises:
        CommandError: Nothing was ever started there, or the change refuses.
    """
    read_operators(directory.root)  # else a lock file would be left where no stack is
    with (directory.root / ".operators.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = change(read_operators(directory.root))
        changed.save(operators_file(directory.root))
        return changed


def find_key(operators: Operators, name_or_id: str) -> tuple[str, Operator]:
    """Return the key of an id, or the accepted one of a name.

    Raises:
        CommandError: There is none.
    """
    if (operator := operators.by_key_id.get(name_or_id)) is not None:
        return name_or_id, operator
    for key_id, operator in operators.accepted.items():
        if operator.issuer == name_or_id:
            return key_id, operator
    known = ", ".join(sorted(operator.issuer for operator in operators.accepted.values()))
    raise CommandError(
        f"expected the name or id of a key ({known}), found {name_or_id}",
        hint="`trader keys list` shows them. Nothing was revoked.",
        status=ExitStatus.USAGE,
    )


def signing_key(place: Place) -> tuple[OperatorKey, str]:
    """Return the key that commands are signed with, and the name that they must carry.

    The variable's key, else the stack's first one, else, where that was revoked, another one of this directory. A
    halt must never fail here for want of a readable operators file: the services judge.

    Raises:
        ConfigurationError: There is no such key.
    """
    try:
        accepted = Operators.load(operators_file(place.directory.root)).accepted
    except ConfigurationError:
        accepted = {}
    named = os.environ.get(KEY_FILE_VARIABLE)
    key = OperatorKey.load(Path(named or place.endpoints["operator_key_file"]))
    if named is None and key.key_id not in accepted:
        for path in sorted(place.secrets.glob("operator-*.pem")):
            other = OperatorKey.load(path)
            if other.key_id in accepted:
                key = other
                break
    operator = accepted.get(key.key_id)
    return key, operator.issuer if operator is not None else FIRST_ISSUER
