"""A network in which nothing but loopback exists, so that an address that was not overridden cannot be reached.

Linux only, as root or where unprivileged user namespaces are allowed; elsewhere programs run in the open network.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_DEADLINE_S = 20
# SIOCSIFFLAGS with IFF_UP | IFF_RUNNING, netdevice(7); `ip` is not installed everywhere.
_HOLDER = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
print("up", flush=True)
sys.stdin.read()
"""
_WAYS = (
    (("--net",), ("--net",)),
    (("--net", "--user", "--map-root-user"), ("--net", "--user", "--preserve-credentials")),
)


@contextmanager
def loopback_only() -> Iterator[tuple[str, ...] | None]:
    """Keep such a network; yield the command that runs another one in it, or None where none can be made."""
    for unshared, entered in _WAYS:
        try:
            holder = subprocess.Popen(
                ["unshare", *unshared, sys.executable, "-c", _HOLDER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            break  # no Linux
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            if holder.stdout.readline() == "up\n":
                yield ("nsenter", f"--target={holder.pid}", *entered)
                return
        finally:
            holder.stdin.close()
            holder.wait(_DEADLINE_S)
            holder.stdout.close()
    yield None
