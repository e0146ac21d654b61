"""Redis' access list: a user a process, each with the commands of its key families and nothing else."""

import hashlib
from collections.abc import Mapping
from typing import Final

from libs.common.permissions import PERMISSIONS, REDIS_FAMILIES

_CONNECTING: Final = "+ping +auth +hello +select +client|setname +client|setinfo +script|load"
_EXPORTING: Final = "+info +config|get +client|setname +slowlog|get +slowlog|len +latency|latest"
EXPORTER: Final = "exporter"
"""The user that metrics are read with: it sees no key."""


def access_list(passwords: Mapping[str, str]) -> str:
    """Return the content of Redis' `aclfile`.

    A script is checked twice: the keys that it names against the whole user, its commands against their families.

    Args:
        passwords: Of each process that uses Redis, and of the exporter. Only their hashes are written.
    """
    lines = ["user default on nopass resetkeys resetchannels -@all +ping"]
    lines.append(f"user {EXPORTER} on {_hashed(passwords[EXPORTER])} resetkeys resetchannels -@all +ping {_EXPORTING}")
    for name, permissions in PERMISSIONS.items():
        if not permissions.redis:
            continue
        keys = " ".join(f"~{REDIS_FAMILIES[family]}" for family in permissions.redis)
        families = " ".join(
            f"(~{REDIS_FAMILIES[family]} {' '.join(f'+{command}' for command in sorted(commands))})"
            for family, commands in permissions.redis.items()
        )
        lines.append(
            f"user {name} on {_hashed(passwords[name])} resetkeys resetchannels -@all {_CONNECTING} +evalsha "
            f"{keys} {families}"
        )
    return "\n".join(lines) + "\n"


def _hashed(password: str) -> str:
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"
