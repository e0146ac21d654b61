"""Mail through a forward proxy: a deployment has no other way out, and smtplib knows of none.

The proxy is that of HTTPS_PROXY and NO_PROXY, as for web requests; without one nothing changes.
"""

import ipaddress
import smtplib
import socket
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import structlog

PROXY_PORT: Final = 8080
ANSWER_BYTES_MAX: Final = 8_192
STATUS_CHARACTERS_MAX: Final = 100

_log: Final = structlog.get_logger(__name__)

_direct: Final[Any] = smtplib.SMTP._get_socket  # type: ignore[attr-defined]  # noqa: SLF001 - its seam for SMTP_SSL


def tunnel_mail() -> None:
    """Let every mail of this process go through the proxy of its environment."""
    smtplib.SMTP._get_socket = _connected  # type: ignore[attr-defined]  # noqa: SLF001 - likewise


def _connected(mail: smtplib.SMTP, host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to a mail server, whose name is the proxy's to resolve.

    Raises:
        OSError: The proxy or the server is away, or the proxy does not let it pass.
    """
    proxy = getproxies().get("https")
    if proxy is None or _is_here(host) or proxy_bypass(host):
        direct: socket.socket = _direct(mail, host, port, timeout)
        return direct
    way = urlsplit(proxy)
    connection = socket.create_connection((way.hostname or "", way.port or PROXY_PORT), timeout)
    try:
        target = b"%s:%d" % (host.encode("idna"), port)
        connection.sendall(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target))
        _expect_passage(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _expect_passage(connection: socket.socket) -> None:
    answer = bytearray()
    while not answer.endswith(b"\r\n\r\n"):
        read = connection.recv(1)  # and not a byte more: behind it stands what the mail server says first
        if not read or len(answer) >= ANSWER_BYTES_MAX:
            raise ConnectionError("expected an answer of the proxy, found none")
        answer += read
    status = answer.partition(b"\r\n")[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        _log.warning("The proxy lets no mail pass; see deploy/proxy/destinations", found=status[:STATUS_CHARACTERS_MAX])
        raise ConnectionError("expected the proxy to let mail pass, found that it does not")


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
