"""The accounts' API keys, made at the first start and kept.

Invariant: the key file is readable by its owner only, and is written whole or not at all.
"""

import base64
import json
import os
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from libs.common.errors import ConfigurationError

KEY_LENGTH = 64
_ALPHABET = string.ascii_letters + string.digits


class Permission(Enum):
    """What a key may do besides reading public data."""

    USER_DATA = "USER_DATA"
    TRADE = "TRADE"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key of an account; the secret is an HMAC secret or an Ed25519 private key in PEM."""

    name: str
    account: str
    api_key: str
    api_secret: str
    permissions: frozenset[Permission]

    @property
    def is_ed25519(self) -> bool:
        """Whether requests are signed with Ed25519."""
        return "PRIVATE KEY" in self.api_secret


_READ_ONLY = frozenset({Permission.USER_DATA})
_ALL = frozenset(Permission)
_OF_ACCOUNT = {"": _ALL, "-reader": _READ_ONLY, "-watchdog": _ALL}
"""The keys of an account that the system trades, by how their names end."""


def load_or_create_keys(path: Path, accounts: Sequence[str] = ("main",)) -> dict[str, ApiKey]:
    """Return the keys by name, as the file has them, with new ones for the accounts that it does not know.

    Raises:
        ConfigurationError: The names of two keys would be the same.
    """
    stored = json.loads(path.read_text()) if path.exists() else {}
    keys = {name: _parse(name, entry) for name, entry in stored.items()}
    wanted = [
        *((f"{name}{ending}", name, rights, False) for name in accounts for ending, rights in _OF_ACCOUNT.items()),
        ("visitor", "visitor", _ALL, False),
        ("visitor-ed25519", "visitor", _ALL, True),
    ]
    for name, account, permissions, ed25519 in wanted:
        key = keys.setdefault(name, _create(name, account, permissions, ed25519=ed25519))
        if key.account != account:
            raise ConfigurationError(
                where="the paper exchange's accounts",
                expected=f"names whose keys can be told apart ({', '.join(_OF_ACCOUNT)} are appended)",
                found=f"the key {name} of both {key.account} and {account}",
                hint="give one of them another name",
            )
    if len(keys) > len(stored):
        write_private(path, {name: _entry(key) for name, key in keys.items()})
    return keys


def write_private(path: Path, content: Any) -> None:
    """Write JSON that only its owner may read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def verify_ed25519(key: ApiKey, payload: bytes, signature: str) -> bool:
    """Return whether the base64 `signature` of `payload` was made with the key."""
    private = load_pem_private_key(key.api_secret.encode(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        return False
    # Ed25519 is deterministic (RFC 8032), so signing again is verifying.
    return secrets.compare_digest(base64.b64encode(private.sign(payload)), signature.encode(errors="replace"))


def _create(name: str, account: str, permissions: frozenset[Permission], *, ed25519: bool) -> ApiKey:
    if ed25519:
        private = Ed25519PrivateKey.generate()
        secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    else:
        secret = _token()
    return ApiKey(name, account, _token(), secret, permissions)


def _token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(KEY_LENGTH))


def _entry(key: ApiKey) -> dict[str, Any]:
    return {
        "account": key.account,
        "api_key": key.api_key,
        "api_secret": key.api_secret,
        "permissions": sorted(permission.value for permission in key.permissions),
    }


def _parse(name: str, entry: dict[str, Any]) -> ApiKey:
    permissions = frozenset(Permission(value) for value in entry["permissions"])
    return ApiKey(name, entry["account"], entry["api_key"], entry["api_secret"], permissions)
