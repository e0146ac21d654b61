"""The identities of orders: ours, children's, and what a client order id tells about its sender.

Invariant: an identity is a function of what the order is for, so a repetition makes the same one.
"""

import base64
import re
import uuid
from dataclasses import dataclass
from typing import Final

from libs.trading.risk import Role

CLIENT_ID_LENGTH_MAX: Final = 36
"""Binance's bound of a client order id; its characters are `[a-zA-Z0-9-_]`."""

_ROLE_LETTERS: Final[dict[Role, str]] = {
    Role.ENTRY: "E",
    Role.PROTECTION: "P",
    Role.EXIT: "X",
    Role.LIQUIDATION: "L",
}
_LIST_LETTER: Final = "O"
_DIGEST_LENGTH: Final = 24
_OURS: Final = re.compile(r"^ct([EPXLO])-([a-z0-9]{6})-[a-z2-7]{24}$")
_CHILDREN: Final = uuid.UUID("5b5f4d6e-3b0e-5d43-9a52-0f4f6f0d8c21")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an order of this system: which installation, and what for."""

    installation: str
    is_entry: bool


def client_order_id(intent_id: uuid.UUID, role: Role, installation: str) -> str:
    """Return an order's client id: `ct` and its role's letter, the installation, 120 bits of the intent."""
    return _client_id(_ROLE_LETTERS[role], intent_id, installation)


def list_client_order_id(intent_id: uuid.UUID, installation: str) -> str:
    """Return an order list's client id, from the intent of its upper leg."""
    return _client_id(_LIST_LETTER, intent_id, installation)


def child_id(chain_id: uuid.UUID, purpose: str) -> uuid.UUID:
    """Return the intent id of a child: its chain and what it is for, with the number of its kind."""
    return uuid.uuid5(_CHILDREN, f"{chain_id}|{purpose}")


def sender_of(client_id: str) -> Sender | None:
    """Return who sent an order by its client id; None: not one of these systems."""
    match = _OURS.match(client_id)
    return Sender(installation=match[2], is_entry=match[1] == _ROLE_LETTERS[Role.ENTRY]) if match else None


def _client_id(letter: str, intent_id: uuid.UUID, installation: str) -> str:
    digest = base64.b32encode(intent_id.bytes).decode().rstrip("=").lower()[:_DIGEST_LENGTH]
    return f"ct{letter}-{installation}-{digest}"
