"""`trader keys new|list|revoke`: who may command.

The operators file is changed where it lies, so that a lost key is out also while nothing runs; the running services
read it again at once, and the risk manager records every change of it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.errors import CommandError, ExitStatus
from cli.options import DEFAULT_DATA_DIR, AsJson, DataDir, Reason
from cli.output import emit_json, emit_rows, tell
from cli.place import Place
from cli.scope import check_reason, check_scope

if TYPE_CHECKING:
    from libs.common.control.operators import Operator, Operators

keys = typer.Typer(help="The keys of those who may command.", no_args_is_help=True)

NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
COLUMNS: Final = ("key_id", "name", "role", "accounts", "created_at", "revoked_at", "reason")


@keys.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Whose it is; the name stands beside each of its commands.")],
    role: Annotated[str, typer.Option("--role", help="operator: every command; watchdog: only to halt.")] = "operator",
    account: Annotated[
        list[str] | None, typer.Option("--account", help="An account that it may command; none: all of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the private key goes; otherwise beside the first one.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Make a key and let it command from now on; its private half is only in the file that is named."""
    from cli.keyring import change_operators  # noqa: PLC0415 - the libraries behind it cost time
    from libs.common.clock import SystemClock  # noqa: PLC0415
    from libs.common.control.operators import OperatorKey, OperatorRole  # noqa: PLC0415
    from libs.embedded.directory import DataDirectory  # noqa: PLC0415

    if not NAME_PATTERN.fullmatch(name):
        raise CommandError(
            f"NAME: expected up to 32 of a-z, 0-9, _ and -, such as alice, found {name}", status=ExitStatus.USAGE
        )
    if role not in tuple(OperatorRole):
        raise CommandError(f"--role: expected {' or '.join(OperatorRole)}, found {role}", status=ExitStatus.USAGE)
    directory = DataDirectory(data_dir)
    for each in account or ():
        check_scope(Place(directory, {}), account=each, consequence="No key was made.")
    path = out or directory.secrets / f"operator-{name}.pem"
    key = OperatorKey.generate()

    def enrol(operators: "Operators") -> "Operators":
        if any(operator.issuer == name for operator in operators.accepted.values()):
            raise CommandError(
                f"NAME: expected one that no other key has, found {name}",
                hint="`trader keys list` shows them.",
                status=ExitStatus.USAGE,
            )
        changed = operators.with_key(
            key, issuer=name, role=OperatorRole(role), accounts=tuple(account or ()), at=SystemClock().now()
        )
        key.save(path)
        return changed

    try:
        operators = change_operators(directory, enrol)
    except FileExistsError as error:
        raise CommandError(
            f"{path}: expected a new file, found one that exists",
            hint="Name another one with --out. No key was made.",
            status=ExitStatus.USAGE,
        ) from error
    if as_json:
        emit_json({**_row(key.key_id, operators.by_key_id[key.key_id]), "file": path})
        return
    tell(f"{name} may command from now on, with the key in {path}. Keep it to yourself.")


@keys.command("list")
def list_keys(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """List every key, the revoked ones too."""
    from cli.keyring import read_operators  # noqa: PLC0415 - the libraries behind it cost time

    operators = read_operators(data_dir)
    rows = [_row(key_id, operator) for key_id, operator in operators.by_key_id.items()]
    rows.sort(key=lambda row: (row["revoked_at"] is not None, row["name"]))
    if as_json:
        emit_json({"keys": rows})
        return
    shown = [{**row, "accounts": ", ".join(row["accounts"]) or "all"} for row in rows]
    emit_rows("keys", shown, COLUMNS, as_json=False)


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="The name or the id of the key.")],
    reason: Reason,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Accept a key's commands no more, from this moment on and everywhere."""
    from cli.keyring import change_operators, find_key  # noqa: PLC0415 - the libraries behind it cost time
    from libs.common.clock import SystemClock  # noqa: PLC0415
    from libs.embedded.directory import DataDirectory  # noqa: PLC0415

    check_reason(reason, consequence="Nothing was revoked.")
    found: dict[str, str] = {}

    def revoked(operators: "Operators") -> "Operators":
        key_id, operator = find_key(operators, key)
        found["key_id"] = key_id
        if operator.revoked_at is not None:
            raise CommandError(f"{key}: expected a key that is accepted, found one revoked at {operator.revoked_at}")
        changed = operators.without(key_id, at=SystemClock().now(), reason=reason)
        if not any(other.governs for other in changed.accepted.values()):
            raise CommandError(
                f"{key}: expected another key that may command every account, found none",
                hint="Make its successor first: `trader keys new NAME`. Nothing was revoked.",
            )
        return changed

    operators = change_operators(DataDirectory(data_dir), revoked)
    row = _row(found["key_id"], operators.by_key_id[found["key_id"]])
    if as_json:
        emit_json(row)
        return
    tell(f"{row['name']} ({row['key_id']}) commands no more.")


def _row(key_id: str, operator: "Operator") -> dict[str, Any]:
    return {
        "key_id": key_id,
        "name": operator.issuer,
        "role": operator.role.value,
        "accounts": list(operator.accounts),
        "created_at": operator.created_at,
        "revoked_at": operator.revoked_at,
        "reason": operator.revoked_reason,
    }
