"""A deployment that trades as often as it can, for tests that hurt it: does it trade again, do its books agree?

Invariant: that it trades is read from its own orders, that its books agree from the exchange's journal too.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import SystemClock
from tests.chaos.settlement import journal_changes, settle
from tests.compose.conftest import ROOT, ComposeProject, project
from tests.compose.container_faults import Container

TRADING = ROOT / "tests" / "chaos" / "trading.json"
PROMPT = "tests/compose/prompt.yml"
JOBS = ("access", "topics", "database", "operators", "exchange_keys")
FIRST_ENTRY_S_MAX = 300.0
GIVEN_UP_S_MAX = 120.0
REST_S_MAX = 180.0
REST_S = 5.0
LOOK_S = 0.5
CLOCK = SystemClock()
JOURNAL = "/var/lib/trader/paper_exchange/journal"

ENTRIES = """
    SELECT extract(epoch FROM min(answered_at)) FROM reading.orders
    WHERE role = 'ENTRY' AND exchange_order_id IS NOT NULL AND requested_at > to_timestamp({since_s})
"""
UNDER_WAY = """
    SELECT client_order_id, status FROM reading.orders
    WHERE status IN ('PREPARED', 'SUBMITTED', 'UNKNOWN')
       OR (status = 'QUARANTINED' AND updated_at > clock_timestamp() - interval '30 s')
"""
CHANGES = """
    SELECT count(*), max(updated_at) FROM reading.orders
    UNION ALL SELECT count(*), max(recorded_at) FROM reading.fills
"""
WHY = """
    SELECT state::text, reason::text, causes::text FROM reading.trading_state
    UNION ALL SELECT reason::text, count(*)::text, '' FROM reading.refusals
    WHERE decided_at > clock_timestamp() - interval '30 s' GROUP BY reason
"""


@dataclass(frozen=True, slots=True)
class TradingDeployment:
    """A deployment that trades."""

    project: ComposeProject

    def await_entry(self, since_s: float, *, within_s: float) -> float | None:
        """Wait for an entry that is sent after a moment; return how long until the exchange had accepted it."""
        while True:
            accepted_s = self.project.sql(ENTRIES.format(since_s=since_s), check=False).strip()
            if accepted_s:
                return float(accepted_s) - since_s
            if CLOCK.now().timestamp() > since_s + within_s:
                return None
            time.sleep(LOOK_S)

    def await_health(self, container: Container, since_s: float) -> float:
        """Wait until a container is well; return how long that took since a moment."""
        while not container.is_well():
            if CLOCK.now().timestamp() > since_s + GIVEN_UP_S_MAX:
                pytest.fail(f"{container.service} is not well {GIVEN_UP_S_MAX:g} s after the fault: {self.why()}")
            time.sleep(LOOK_S)
        return CLOCK.now().timestamp() - since_s

    def await_everybody(self) -> None:
        """Wait until every container is healthy, so that the next fault is the only one."""
        ends_at_s = time.monotonic() + GIVEN_UP_S_MAX
        while ill := [row["Name"] for row in self._containers() if row["Health"] != "healthy"]:
            if time.monotonic() > ends_at_s:
                pytest.fail(f"not healthy after {GIVEN_UP_S_MAX:g} s: {ill}")
            time.sleep(LOOK_S)

    def _containers(self) -> list[dict[str, Any]]:
        lines = self.project.compose("ps", "--all", "--format", "json").splitlines()
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [row for row in rows if row["Service"] not in JOBS]

    def why(self) -> str:
        """Return what keeps it from trading."""
        return self.project.sql(WHY, check=False) or "the database does not answer"

    def resume(self) -> None:
        """Trade on, whatever was halted, so that what comes next is judged for itself."""
        self.project.trader("resume", "--reason", "a test", check=False)
        self.project.trader("start", "--reason", "a test", check=False)

    def prove(self, directory: Path) -> None:
        """Come to rest, and compare the books with the exchange's."""
        self.project.trader("halt", "--reason", "the end of a test")
        self._await_rest()

        invariants = self.project.trader_json("invariants")
        audit = self.project.trader_json("audit", "verify")
        self.project.compose("cp", f"paper_exchange:{JOURNAL}", str(directory / "journal"))
        symbols = json.loads(TRADING.read_text(encoding="utf-8"))["symbols"]

        assert invariants["violations"] == []
        assert audit["verified"] is True
        assert settle(journal_changes(directory / "journal"), symbols) == []

    def _await_rest(self) -> None:
        """Wait until no order's fate is open and nothing has changed between two looks."""
        ends_at_s = time.monotonic() + REST_S_MAX
        before = "nothing seen yet"
        while time.monotonic() < ends_at_s:
            time.sleep(REST_S)
            now = self.project.sql(CHANGES)
            if now == before and not self.project.sql(UNDER_WAY).strip():
                return
            before = now
        pytest.fail(f"expected rest within {REST_S_MAX:g} s, found {self.project.sql(UNDER_WAY)}")


@contextmanager
def trading_deployment(
    directory: Path, *files: str, variables: Mapping[str, str] | None = None
) -> Iterator[TradingDeployment]:
    """Start a deployment, of more compose files if need be, and wait for its first entry."""
    told = {
        "COMPOSE_FILE": os.pathsep.join(("docker-compose.yml", *files, PROMPT)),
        "TRADER_CONFIGURATION": str(TRADING),
        **(variables or {}),
    }
    with project(directory, variables=told) as made:
        made.up()
        deployment = TradingDeployment(made)
        began_s = CLOCK.now().timestamp()
        assert deployment.await_entry(began_s, within_s=FIRST_ENTRY_S_MAX) is not None, deployment.why()
        yield deployment
