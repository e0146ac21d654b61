"""A local exchange that can be told to fail, through its admin API or at once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from aiohttp.test_utils import TestServer
from pydantic import TypeAdapter

from services.paper_exchange.faults.admin import AdminApi
from services.paper_exchange.faults.layer import FaultLayer
from services.paper_exchange.faults.menu import Fault
from services.paper_exchange.market.tape import Tape
from tests.contract.paper_exchange.local_exchange import LocalExchange, local_exchange

KEY = "the-admin-key"
_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)


class FaultyExchange:
    """A running exchange, its faults, and a client of its admin API."""

    def __init__(self, local: LocalExchange, layer: FaultLayer, log: Sequence[str]) -> None:
        self.local = local
        self.layer = layer
        self.log = log
        self.admin = ""

    def arm(self, kind: str, **settings: Any) -> int:
        """Let a fault strike from now on."""
        return self.layer.faults.arm(_FAULT.validate_python({"kind": kind, **settings}))

    @property
    def strikes(self) -> list[dict[str, Any]]:
        """What struck so far."""
        return list(self.layer.faults.strikes)

    async def tell(self, method: str, path: str, body: Any = None, *, key: str = KEY) -> tuple[int, Any]:
        """Send a request to the admin API."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.local.http.request(method, self.admin + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def faulty_exchange(
    directory: Path, *, key: str = "main", seed: int = 7, tape: Tape | None = None
) -> AsyncIterator[FaultyExchange]:
    """Run an exchange that can be told to fail for the length of a block."""
    log: list[str] = []
    async with local_exchange(directory, key=key, tape=tape) as local:
        layer = FaultLayer(local.exchange, randomness=Random(seed), tell=log.append)
        faulty = FaultyExchange(local, layer, log)
        server = TestServer(AdminApi(layer, venue=local.exchange.venue, key=KEY).application())
        await server.start_server()
        faulty.admin = str(server.make_url("")).rstrip("/")
        try:
            yield faulty
        finally:
            await server.close()
