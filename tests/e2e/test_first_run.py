"""What a newcomer sees: one command, and within a minute both markets have been traded and all of it is proved."""

import json

from tests.support.stack import PROCESSES, StackUnderTest


def test_one_command_trades_the_recorded_market_and_proves_it(stack: StackUnderTest):
    report_file = stack.data_dir.with_suffix(".json")

    stack.trader("up", "--for", "60s", "--report", str(report_file), seconds=300)

    report = json.loads(report_file.read_text())
    assert report["round_trips"] >= 3
    assert set(report["round_trips_by_symbol"]) == {"BTC/USDT", "ETH/USDT"}
    assert report["signals"] == report["approved"] + sum(report["refused"].values())
    assert report["refused"]
    assert all(reason.isupper() for reason in report["refused"])
    assert report["restarts"] == dict.fromkeys(PROCESSES, 0)
    assert report["audit"]["verified"]
    assert report["audit"]["events"] > 1_000
    assert report["invariants"]["violations"] == []
    assert all(report["invariants"]["checked"][name] > 0 for name in ("fill_is_booked_once", "balance_equals_exchange"))
    assert all(report["latency_ms"][stage]["count"] > 0 for stage in report["latency_ms"])
    assert stack.pids() == set()
