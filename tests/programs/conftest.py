"""`trader exchange` in a network of its own, and programs that nobody here wrote beside it."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.embedded.ports import PortBook
from services.paper_exchange.journal.state import State, read_journal
from tests.programs.environments import environment_of
from tests.programs.loopback import loopback_only

DRIVERS = Path(__file__).parent / "drivers"
PROGRAM_S_MAX = 240
STOPPED_S_MAX = 20


@dataclass(frozen=True)
class Market:
    """`trader exchange`, and how to run a program beside it."""

    within: tuple[str, ...]
    facts: dict[str, Any]
    data_dir: Path

    def drive(self, driver: str, *, program: str) -> dict[str, Any]:
        """Run a driver in the environment of its program, to the end, and return what it says that it did."""
        account = self.facts["exchange_accounts"]["visitor"]
        ports = PortBook(self.data_dir / "program_ports.json", choice=random.SystemRandom())
        done = subprocess.run(
            [*self.within, str(environment_of(program) / "bin" / "python"), str(DRIVERS / f"{driver}.py")],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.data_dir),
                "PYTHONDONTWRITEBYTECODE": "",
                "EXCHANGE_REST": self.facts["exchange_rest"],
                "EXCHANGE_WS": self.facts["exchange_ws"],
                "API_KEY": account["api_key"],
                "API_SECRET": account["api_secret"],
                "PROGRAM_PORT": str(ports.port(program)),
            },
            capture_output=True,
            text=True,
            timeout=PROGRAM_S_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{driver}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        reported = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(reported, dict)
        return reported

    def journal(self) -> State:
        """Return what the exchange has written down."""
        found = read_journal(self.data_dir / "exchange" / "journal")
        assert found is not None
        return found[0]


@pytest.fixture(scope="session")
def network() -> Iterator[tuple[str, ...]]:
    """Return the command that runs another one where only loopback exists; empty where that cannot be had."""
    with loopback_only() as within:
        yield within or ()


@pytest.fixture(scope="session")
def market(network: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    data_dir = tmp_path_factory.mktemp("alone")
    process = subprocess.Popen(
        [*network, sys.executable, "-m", "cli", "exchange", "--json", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield Market(network, json.loads(process.stdout.readline()), data_dir)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOPPED_S_MAX)
        process.stdout.close()


@pytest.fixture
def drive(market: Market) -> Callable[..., dict[str, Any]]:
    """Return what runs a driver and compares all it says about orders and money with the exchange's journal."""

    def run(driver: str, *, program: str) -> dict[str, Any]:
        known = set(market.journal().orders)
        reported = market.drive(driver, program=program)
        journal = market.journal()

        orders = {number: record for number, record in journal.orders.items() if number not in known}
        fills = [fill for fill in journal.fills.values() if fill["order_id"] in orders]
        assert sorted(orders) == sorted(reported["placed"])
        assert {record["account"] for record in orders.values()} == {"visitor"}
        assert _with_status(orders, "FILLED") == sorted(reported["filled"]) == sorted({f["order_id"] for f in fills})
        assert _with_status(orders, "CANCELED") == sorted(reported["cancelled"])
        if "balances" in reported:
            assert reported["balances"] == {
                asset: [record["free"], record["locked"]]
                for (account, asset), record in journal.balances.items()
                if account == "visitor"
            }
        return reported

    return run


def _with_status(orders: dict[int, Any], status: str) -> list[int]:
    return sorted(number for number, record in orders.items() if record["status"] == status)
