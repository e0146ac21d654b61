# noqa: INP001 - Docker starts it by its path
"""Asks this container's own /readyz, for Docker: exit status 0 means ready.

Only `socket` is loaded: Docker starts this every few seconds in every container.
"""

import os
import socket
import sys

ANSWER_S_MAX = 2.0


def main() -> int:
    """Return 0 where /readyz answers 200 in time."""
    port = int(os.environ.get("TRADER_HEALTH_PORT", "8080"))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            answer = connection.recv(1_024)
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    sys.stdout.write(answer.decode(errors="replace").rpartition("\r\n")[2])
    return 0 if answer.split(b" ", 2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
