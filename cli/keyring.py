"""The operators' keys of a data directory: the file of public keys, and the private ones that lie here.

Invariant: the operators file alone says whose commands count. Services read it again whenever it changes, so that a
revocation needs nothing that runs.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Final

from cli.errors import CommandError, ExitStatus
from cli.output import tell
from cli.place import Place
from libs.common.contracts.events.control import CommandName
from libs.common.control.operators import Operator, OperatorKey, Operators
from libs.common.errors import ConfigurationError
from libs.embedded.directory import DataDirectory

FIRST_ISSUER: Final = "operator"
"""The name of the key that the first start makes."""

KEY_FILE_VARIABLE: Final = "TRADER_OPERATOR_KEY_FILE"
"""Names the key to sign with, where it is not the data directory's own."""

_MAY_NOT: Final = 0
_MAY: Final = 1
_GOVERNS: Final = 2
"""What a key can do about a command; one that governs may give every other command, too."""


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


def signing_key(place: Place, command: CommandName, account: str) -> tuple[OperatorKey, str]:
    """Return the key that a command is signed with, and the name that the command must carry.

    The variable's key; else, of this directory, the first that governs (the stack's own before others), else that may
    command this, else that can be read: the services judge. A halt must never fail here: where the variable's key may
    not halt it takes one of the directory, and where none can be read, one that nobody knows.

    Raises:
        ConfigurationError: No key can be read, and it is no halt.
    """
    try:
        accepted = Operators.load(operators_file(place.directory.root)).accepted
    except ConfigurationError:
        accepted = {}
    enough = _GOVERNS if os.environ.get(KEY_FILE_VARIABLE) is None else _MAY
    usable: list[tuple[int, OperatorKey]] = []
    unusable: list[ConfigurationError] = []
    doubts: list[str] = []
    for path in _key_files(place, command):
        try:
            key = OperatorKey.load(path)
        except ConfigurationError as error:
            unusable.append(error)
            doubts.append(str(error))
            continue
        authority = _authority(accepted.get(key.key_id), command, account)
        usable.append((authority, key))
        if authority >= enough:
            break
        if authority < _MAY:
            doubts.append(f"{path}: expected an accepted key that may {command} {account}, found {key.key_id}")
    if not usable and command != "HALT":
        raise unusable[0]
    for doubt in doubts:
        tell(f"warning: {doubt}")
    if not usable:
        tell("warning: no key can be read: the halt goes out unsigned, which stops trading and sells nothing")
        usable.append((_MAY_NOT, OperatorKey.generate()))
    _, key = max(usable, key=itemgetter(0))  # the first of equals
    operator = accepted.get(key.key_id)
    return key, operator.issuer if operator is not None else FIRST_ISSUER


def _key_files(place: Place, command: CommandName) -> Iterator[Path]:
    if (named := os.environ.get(KEY_FILE_VARIABLE)) is not None:
        yield Path(named)
        if command != "HALT":
            return
    yield Path(place.endpoints["operator_key_file"])
    yield from sorted(place.secrets.glob("operator-*.pem"))


def _authority(operator: Operator | None, command: CommandName, account: str) -> int:
    if operator is None:
        return _MAY_NOT
    if operator.governs:
        return _GOVERNS
    return _MAY if operator.may(command, account) else _MAY_NOT
