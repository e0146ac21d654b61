"""Ports of a stack: picked once and kept, so that clients' addresses survive every restart.

Invariant: ports lie outside the range from which the system takes the ports of outgoing connections (32768 and up on
Linux, 49152 and up on macOS). A port inside it can be taken while its process is down for a second.
"""

import json
import random
import socket
from pathlib import Path

from libs.embedded.directory import write_atomically
from libs.embedded.errors import EmbeddedError

LOWEST = 20_000
HIGHEST = 32_000
ATTEMPTS_MAX = 1_000


class PortBook:
    """Remembers which port each name has.

    Args:
        path: Where the ports are stored.
        choice: Draws the ports; two stacks on one machine should not draw the same.
    """

    def __init__(self, path: Path, *, choice: random.Random) -> None:
        self._path = path
        self._choice = choice
        self._remembered: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self._given: dict[str, int] = {}

    def port(self, name: str, *, wanted: int | None = None) -> int:
        """Return the port of a name: the one wanted, else the one it had, else a new one.

        The port had before is given up only when something else listens on it.

        Raises:
            EmbeddedError: The port wanted is in use.
        """
        if name in self._given:
            return self._given[name]
        port = wanted if wanted is not None else self._remembered.get(name)
        if port is None or port in self._given.values() or not is_free(port):
            if wanted is not None:
                raise EmbeddedError(
                    f"{name}: expected port {wanted} to be free, found it in use",
                    hint=f"End what listens on it (`ss -ltnp 'sport = :{wanted}'` names it), or choose another port.",
                )
            port = self._pick()
        self._given[name] = port
        self._remembered[name] = port
        write_atomically(self._path, json.dumps(self._remembered, indent=1, sort_keys=True))
        return port

    def _pick(self) -> int:
        taken = {*self._given.values(), *self._remembered.values()}
        for _ in range(ATTEMPTS_MAX):
            port = self._choice.randrange(LOWEST, HIGHEST)
            if port not in taken and is_free(port):
                return port
        raise EmbeddedError(
            f"expected a free port between {LOWEST} and {HIGHEST}, found none in {ATTEMPTS_MAX} attempts",
            hint="End programs that hold many ports.",
        )


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now (connections of a dead one do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
