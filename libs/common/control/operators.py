"""Operators' Ed25519 keys: made, stored and looked up.

A private key never leaves its file (0600, PEM); services know only the public half, from the operators file:
`{key_id: {"public_key": base64, "issuer": name, "role": "operator" | "watchdog"}}`. A revoked key stays in it with
the moment and the reason, and is accepted nowhere.
"""

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from libs.common.contracts.events.control import CommandName
from libs.common.contracts.fields import AccountName, Text, UtcTime
from libs.common.errors import ConfigurationError


class OperatorRole(StrEnum):
    """What a key may command."""

    OPERATOR = "operator"
    WATCHDOG = "watchdog"


ROLE_COMMANDS: Final[Mapping[OperatorRole, frozenset[CommandName]]] = {
    OperatorRole.OPERATOR: frozenset(
        {"HALT", "RESUME", "START", "STOP", "CONFIGURE", "RECONCILE_ACCEPT", "ACKNOWLEDGE"}
    ),
    OperatorRole.WATCHDOG: frozenset({"HALT"}),
}
"""Anyone may stop; only a person may let trading go on."""


class OperatorKey:
    """The private half: signs commands."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_key_text = base64.b64encode(
            private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        ).decode()
        self.key_id = _fingerprint(self.public_key_text)

    @classmethod
    def generate(cls) -> "OperatorKey":
        """Return a new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "OperatorKey":
        """Return the key of a PEM file.

        Raises:
            ConfigurationError: No such file, readable by others, or not an unencrypted Ed25519 key.
        """
        try:
            if path.stat().st_mode & 0o077 and path.parent != _MOUNTED:
                raise ConfigurationError(
                    where=str(path),
                    expected="a key file that only its owner can read (0600)",
                    found=oct(path.stat().st_mode & 0o777),
                    hint=f"chmod 600 {path}",
                )
            private_key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigurationError(
                where=str(path), expected="an unencrypted Ed25519 key in PEM", found=str(error)
            ) from error
        if not isinstance(private_key, Ed25519PrivateKey):
            raise ConfigurationError(where=str(path), expected="an Ed25519 key", found=type(private_key).__name__)
        return cls(private_key)

    def save(self, path: Path) -> None:
        """Write the key to a new file that only its owner can read; an existing file is never overwritten."""
        pem = self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)

    def sign(self, message: bytes) -> str:
        """Return the signature of `message`, base64."""
        return base64.b64encode(self._private_key.sign(message)).decode()


class Operator(BaseModel):
    """The public half, as the operators file has it.

    Attributes:
        public_key: The raw 32 bytes, base64.
        issuer: The name that its commands must carry.
        accounts: The accounts that it may command; empty: all.
        created_at: When it was enrolled, as far as known.
        revoked_at: Since when it is accepted no more; None: it is accepted.
        revoked_reason: Why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_key: str
    issuer: str = Field(min_length=1, max_length=60)
    role: OperatorRole = OperatorRole.OPERATOR
    accounts: tuple[AccountName, ...] = ()
    created_at: UtcTime | None = None
    revoked_at: UtcTime | None = None
    revoked_reason: Text = ""

    @property
    def governs(self) -> bool:
        """Tell whether it may let every account trade again: somebody must be left who may."""
        return self.role is OperatorRole.OPERATOR and not self.accounts and self.revoked_at is None

    def may(self, command: CommandName, account: str) -> bool:
        """Tell whether this key's role and accounts cover a command."""
        return command in ROLE_COMMANDS[self.role] and (not self.accounts or account in self.accounts)

    def signed(self, message: bytes, signature: str) -> bool:
        """Tell whether `signature` (base64) is this operator's signature of `message`."""
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key, validate=True))
            key.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, ValueError, binascii.Error):
            return False
        return True


_FILE: Final = TypeAdapter(dict[str, Operator])
_FILE_MODE: Final = 0o644
_MOUNTED: Final = Path("/run/secrets")
"""Where a container finds its secrets, with the modes that they have outside; the mount decides who reads them."""
"""Public keys are no secret; whoever may write the file decides who commands."""
_EXPECTED: Final = "a JSON object of operators by key id"


@dataclass(frozen=True, slots=True)
class Operators:
    """Every key, by its id: those that are accepted, and those that were."""

    by_key_id: Mapping[str, Operator]

    @classmethod
    def load(cls, path: Path) -> "Operators":
        """Return the operators of a file; of a missing file, none: then no command is accepted.

        Raises:
            ConfigurationError: The file cannot be read, or a key id is not its key's fingerprint.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return cls({})
        except OSError as error:
            raise ConfigurationError(where=str(path), expected=_EXPECTED, found=str(error)) from error
        return cls(_parsed(content, path))

    def save(self, path: Path) -> None:
        """Replace the file at once, so that no reader ever sees half of it and no power failure brings a key back.

        Raises:
            ConfigurationError: No service could read it; the file is left as it is.
        """
        operators = {
            key_id: operator.model_dump(mode="json", exclude_defaults=True)
            for key_id, operator in self.by_key_id.items()
        }
        content = (json.dumps(operators, indent=2, sort_keys=True) + "\n").encode()
        _parsed(content, path)
        draft = path.with_name(f".{path.name}.draft")
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), _FILE_MODE)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_directory(path.parent)

    def with_key(
        self,
        key: OperatorKey,
        *,
        issuer: str,
        role: OperatorRole = OperatorRole.OPERATOR,
        accounts: tuple[str, ...] = (),
        at: datetime | None = None,
    ) -> "Operators":
        """Return these operators and the public half of `key`."""
        operator = Operator(public_key=key.public_key_text, issuer=issuer, role=role, accounts=accounts, created_at=at)
        return Operators({**self.by_key_id, key.key_id: operator})

    def without(self, key_id: str, *, at: datetime, reason: str = "") -> "Operators":
        """Return these operators with a key revoked; one that was before stays as it is."""
        operator = self.by_key_id[key_id]
        if operator.revoked_at is not None:
            return self
        revoked = Operator.model_validate({**operator.model_dump(), "revoked_at": at, "revoked_reason": reason})
        return Operators({**self.by_key_id, key_id: revoked})

    def find(self, key_id: str) -> Operator | None:
        """Return the operator of a key id, or None for an unknown or revoked one."""
        operator = self.by_key_id.get(key_id)
        return operator if operator is not None and operator.revoked_at is None else None

    @property
    def accepted(self) -> Mapping[str, Operator]:
        """Those whose commands count, by key id."""
        return {key_id: operator for key_id, operator in self.by_key_id.items() if operator.revoked_at is None}


def _fingerprint(public_key_text: str) -> str:
    return hashlib.sha256(public_key_text.encode()).hexdigest()[:16]


def _parsed(content: bytes, path: Path) -> dict[str, Operator]:
    try:
        by_key_id = _FILE.validate_json(content)
    except ValidationError as error:
        raise ConfigurationError(where=str(path), expected=_EXPECTED, found=str(error)[:500]) from error
    for key_id, operator in by_key_id.items():
        fingerprint = _fingerprint(operator.public_key)
        if key_id != fingerprint:
            raise ConfigurationError(where=f"{path}: {key_id}", expected=fingerprint, found=key_id)
    return by_key_id


def _sync_directory(directory: Path) -> None:
    """Force the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
