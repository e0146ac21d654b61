"""Signed anchors: where every chain stood, written where the database's owner cannot reach.

A chain alone cannot show that its tail was cut off or that it was rewritten from somewhere on; a later anchor can.
Each line names the line before it by its hash, so that lines cannot be taken out of the middle either.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.common.audit.records import ChainId
from libs.common.errors import ConfigurationError

ANCHORS_PER_CHAIN_MAX: Final = 4_096
"""How many anchors of a chain a reader keeps: older ones are thinned out evenly, the newest always stays."""

_LINE_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a chain ends: its last offset and the hash of its last record."""

    chain: ChainId
    offset: int
    hash: bytes


@dataclass(slots=True)
class Anchors:
    """What an anchors file vouches for.

    Attributes:
        heads: Anchored (offset, hash) of each chain, in the order in which they were written.
        lines: Good lines read.
        problem: What is wrong with the file and in which line; empty when every line is good.
    """

    heads: dict[ChainId, list[tuple[int, bytes]]] = field(default_factory=dict)
    lines: int = 0
    problem: str = ""

    def add(self, head: ChainHead) -> None:
        """Take up one anchored head, thinning out older ones to stay within the bound."""
        entries = self.heads.setdefault(head.chain, [])
        if len(entries) >= ANCHORS_PER_CHAIN_MAX:
            del entries[::2]
        entries.append((head.offset, head.hash))


class AnchorLog:
    """Appends signed anchors to a file; only heads that moved since the last line are written."""

    def __init__(self, path: Path, key: Ed25519PrivateKey) -> None:
        self._path = path
        self._key = key
        self._written: dict[ChainId, int] = {}

    def append(self, heads: Iterable[ChainHead], at: datetime) -> int:
        """Write one line for all heads that moved and force it to the disk; return how many there were.

        Raises:
            OSError: The file cannot be written; the anchor is then not claimed to exist.
        """
        moved = [head for head in heads if self._written.get(head.chain) != head.offset]
        if not moved:
            return 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            previous, torn = _last_line(file)
            body = {
                "at": at.isoformat(),
                "heads": [[head.chain.topic, head.chain.partition, head.offset, head.hash.hex()] for head in moved],
                "previous": previous,
            }
            signature = base64.b64encode(self._key.sign(_canonical(body))).decode()
            line = _canonical({**body, "signature": signature})
            file.write(b"\n" * torn + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._written.update({head.chain: head.offset for head in moved})
        return len(moved)


def read_anchors(path: Path, public_key: Ed25519PublicKey) -> Anchors:
    """Read and check an anchors file; the first bad line ends the reading and is named in `problem`.

    A line that a crash cut short vouches for nothing; it is passed over when the next line follows the last good one.
    """
    anchors = Anchors()
    previous = ""
    doubtful = ""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.rstrip(b"\n")
            if not line:
                continue
            content = _parsed(line)
            if content is None:
                doubtful = doubtful or f"line {number}: expected an anchor, found {line[:40]!r}"
                continue
            problem = _problem_of(content, previous, public_key)
            if problem:
                anchors.problem = doubtful or f"line {number}: {problem}"
                return anchors
            doubtful = ""
            previous = hashlib.sha256(line).hexdigest()
            anchors.lines += 1
            for topic, partition, offset, digest in content["heads"]:
                anchors.add(ChainHead(ChainId(topic, partition), offset, bytes.fromhex(digest)))
    return anchors


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """Return the anchoring key; on the first start make one, and its public half beside it (`.pub`).

    Raises:
        ConfigurationError: The file holds no Ed25519 key in PEM.
    """
    try:
        pem = path.read_bytes()
    except FileNotFoundError:
        return _create_key(path)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise _not_a_key(path, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_a_key(path, type(key).__name__)
    return key


def public_key_path(key_path: Path) -> Path:
    """Return where the public half of an anchoring key stands."""
    return key_path.with_name(key_path.name + ".pub")


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """Return the public half of an anchoring key, in PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public half of the anchoring key.

    Raises:
        ConfigurationError: The file cannot be read or holds no Ed25519 public key in PEM.
    """
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _not_a_key(path, str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _not_a_key(path, type(key).__name__)
    return key


def _create_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    public_key_path(path).write_bytes(public_pem(key))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private)
    return key


def _not_a_key(path: Path, found: str) -> ConfigurationError:
    return ConfigurationError(
        where=str(path),
        expected="an Ed25519 key in PEM",
        found=found,
        hint="restore the file from a backup; a new key cannot vouch for old anchors",
    )


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) and content.keys() >= {"at", "heads", "previous", "signature"} else None


def _problem_of(content: Mapping[str, Any], previous: str, public_key: Ed25519PublicKey) -> str:
    body = {name: value for name, value in content.items() if name != "signature"}
    try:
        public_key.verify(base64.b64decode(content["signature"], validate=True), _canonical(body))
    except (InvalidSignature, TypeError, ValueError):
        return "its signature does not fit its content"
    if content["previous"] != previous:
        return "it does not follow the line before it: lines were removed, added or reordered"
    return ""


def _last_line(file: Any) -> tuple[str, bool]:
    """Return the hash of the last whole anchor and whether the file ends in a line that was cut short."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LINE_BYTES_MAX))
    content: bytes = file.read()
    lines: Sequence[bytes] = content.split(b"\n")
    whole = [line for line in lines[:-1] if _parsed(line) is not None]
    torn = bool(lines[-1])
    return (hashlib.sha256(whole[-1]).hexdigest() if whole else ""), torn
