"""An account's key at the exchange, and what it signs.

Invariant: a secret has no text form: neither logs nor tracebacks can print it.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.common.errors import ConfigurationError

_PEM: Final = "PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key with its secret: an HMAC secret, or an Ed25519 private key in PEM."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)

    def sign(self, payload: str) -> str:
        """Return the signature of a request's payload: hex for HMAC, base64 for Ed25519."""
        if _PEM in self.api_secret:
            key = load_pem_private_key(self.api_secret.encode(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ConfigurationError(where="exchange key", expected="an Ed25519 key", found=type(key).__name__)
            return base64.b64encode(key.sign(payload.encode())).decode()
        return hmac.new(self.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def load_credentials(path: Path | None, account: str) -> Credentials:
    """Read an account's key from a file `{account: {"api_key": ..., "api_secret": ...}}`.

    Raises:
        ConfigurationError: No file is configured, or it does not hold a usable key of the account.
    """
    where = str(path) if path is not None else "TRADER_EXCHANGE_KEYS_FILE"
    expected = f'a file with {{"{account}": {{"api_key": ..., "api_secret": ...}}}}'
    if path is None:
        raise ConfigurationError(where=where, expected=expected, found="no such setting")
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))[account]
        credentials = Credentials(str(entry["api_key"]), str(entry["api_secret"]).strip())
        credentials.sign("probe")
    except OSError as error:
        raise ConfigurationError(where=where, expected=expected, found=error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(where=where, expected=expected, found=type(error).__name__) from error
    return credentials
