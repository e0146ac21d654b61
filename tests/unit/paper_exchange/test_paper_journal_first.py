"""Nothing is told that the journal does not have: seen from the moment at which it is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.trading.matching import Side, TimeInForce
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, FakeAudience, VenueBench, a_recording, an_order

FALLING = a_recording(
    quotes=[(0, PRICE), (2_000, PRICE - 500), (4_000, PRICE - 2_000)],
    trades=[(1, PRICE, 10), (2_100, PRICE - 500, 900), (4_100, PRICE - 2_000, 900)],
)


class Suspicious(FakeAudience):
    """Looks every event up in the journal when it is told to pass it on."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._looked_up = 0
        self.kinds: set[str] = set()

    def flush(self) -> None:
        told, self._looked_up = self.events[self._looked_up :], len(self.events)
        if not told:
            return
        changes = written(self._directory)
        for account, event in told:
            self.kinds.add(f"{event['e']} {event.get('x', '')}".strip())
            assert any(_says(change, account, event) for change in changes), event


def written(directory: Path) -> list[dict[str, Any]]:
    lines = (line for path in sorted(directory.glob("journal-*.jsonl")) for line in path.read_text().splitlines())
    return [change for line in lines for change in json.loads(line)["changes"]]


def _says(change: dict[str, Any], account: str, event: dict[str, Any]) -> bool:
    """Whether a change of the journal is what an event tells; of a transaction it has the end, an event each step."""
    if change.get("account") != account:
        return False
    match event["e"]:
        case "executionReport" if event["x"] == "TRADE":
            fill = ("fill", event["i"], event["t"], event["l"], event["n"])
            names = ("type", "order_id", "trade_id", "quantity", "commission")
            return tuple(change.get(name) for name in names) == fill
        case "executionReport" if event["x"] == "NEW":
            return (change["type"], change.get("order_id")) == ("order", event["i"])
        case "executionReport":
            order = ("order", event["i"], event["X"], event["z"])
            return tuple(change.get(name) for name in ("type", "order_id", "status", "executed_quantity")) == order
        case "listStatus":
            return (change["type"], change.get("order_list_id")) == ("order_list", event["g"])
        case _:
            balances = [("balance", entry["a"], entry["f"], entry["l"]) for entry in event["B"]]
            return tuple(change.get(name) for name in ("type", "asset", "free", "locked")) in balances


@pytest.fixture
def bench(tmp_path: Path) -> VenueBench:
    bench = VenueBench(tmp_path, FALLING)
    bench.audience = Suspicious(tmp_path)
    bench.start()
    return bench


def test_every_event_is_in_the_journal_when_it_leaves(bench: VenueBench):
    bench.wait(500)
    bench.venue.place("main", an_order("MARKET"))
    bench.venue.place("main", an_order(price=PRICE - 100))
    bench.venue.place("main", an_order(price=PRICE - 5_000, time_in_force=TimeInForce.IOC))
    cancelled, _, _ = bench.venue.place("other", an_order(price=PRICE - 9_000))
    bench.venue.cancel("other", cancelled, "cancel-1")
    bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=PRICE + 900),
        an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 1_000),
    )
    bench.wait(5_000)  # the market falls through the resting order and the stop

    assert isinstance(bench.audience, Suspicious)
    assert bench.audience.kinds == {
        "executionReport NEW",
        "executionReport TRADE",
        "executionReport CANCELED",
        "executionReport EXPIRED",
        "listStatus",
        "outboundAccountPosition",
    }


def test_an_order_is_in_the_journal_when_its_answer_is_made(bench: VenueBench, tmp_path: Path):
    order, fills, _ = bench.venue.place("main", an_order("MARKET"))

    changes = written(tmp_path)
    (record,) = [change for change in changes if change["type"] == "order" and change["order_id"] == order.order_id]
    assert (record["status"], record["client_order_id"]) == ("FILLED", order.request.client_id)
    told = [fill.trade_id for fill in fills]
    assert [change["trade_id"] for change in changes if change["type"] == "fill"] == told


def test_what_is_noted_in_the_middle_of_a_transaction_breaks_no_restart(bench: VenueBench, tmp_path: Path):
    def part_of_it(account: str, _: object) -> int:
        bench.venue.note({"type": "fault", "fault": 1, "kind": "order_part_filled", "at_ms": 0, "account": account})
        return 400

    bench.venue.execution_rule = part_of_it
    order, _, _ = bench.venue.place("main", an_order("MARKET"))
    before = bench.money()
    bench.start()

    again = bench.venue.desk.order(order.order_id)
    assert (again.status, again.executed, bench.money()) == ("EXPIRED", 400, before)
    assert [change["type"] for change in written(tmp_path) if change["type"] in {"fault", "fill"}] == ["fault", "fill"]
