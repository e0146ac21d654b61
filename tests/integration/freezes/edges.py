"""What an edge of the freeze matrix is: who calls, what answers there, and how long a call may wait."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

Call: TypeAlias = Callable[[], Awaitable[Any]]
"""Raises, or returns something false, where nobody answered."""


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody who has what it takes to call.

    Attributes:
        call: The call that meets the freeze.
        before: What the client has asked before, over the connection that the call uses; the call itself by default.
    """

    call: Call
    before: Call | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One way to call one library.

    Attributes:
        server: Who answers it.
        client: Makes the client of a URL.
        call_s: The sum of the deadlines that its call declares.
        opening_s: The sum of those that making the client declares; 0: making it asks nobody; None: it is patient.
    """

    name: str
    server: str
    client: Callable[[str], AbstractAsyncContextManager[Client]]
    call_s: float
    opening_s: float | None = 0.0

    def __str__(self) -> str:
        return f"{self.server}, {self.name}"


@asynccontextmanager
async def closed_by(close: Call, client: Client) -> AsyncIterator[Client]:
    """Lend a client, and close it."""
    try:
        yield client
    finally:
        await close()
