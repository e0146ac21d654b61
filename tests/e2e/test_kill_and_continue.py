"""Any process may be killed at any moment; Ctrl-C leaves nothing behind; the next start continues to the last digit."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.support.stack import PROCESSES, StackUnderTest, trading_stack, until

READY_S_MAX = 20.0
STOPPED_S_MAX = 15.0


@pytest.fixture(scope="module")
def trading() -> Iterator[StackUnderTest]:
    """Return a stack that has bought and sold; the next test finds it as the last one left it."""
    with trading_stack() as stack:
        yield stack


def number_of_fills(stack: StackUnderTest) -> int:
    return len(stack.ask("fills", "--limit", "0")["fills"])


def has_filled_since(stack: StackUnderTest, before: int) -> bool:
    return number_of_fills(stack) >= before + 2


def restarts_of(stack: StackUnderTest) -> dict[str, int]:
    return {name: row["restarts"] for name, row in stack.processes().items()}


def ready_again(stack: StackUnderTest, name: str, restarts_before: int) -> bool:
    processes = stack.processes()
    return processes[name]["restarts"] > restarts_before and all(row["ready"] for row in processes.values())


def binance(endpoints: Mapping[str, Any], account: str) -> Any:
    """Return unmodified ccxt with nothing but the addresses overridden."""
    keys = endpoints["exchange_accounts"][account]
    rest = endpoints["exchange_rest"]
    paths = {"public": "/api/v3", "private": "/api/v3", "v1": "/api/v1", "sapi": "/sapi/v1"}
    return ccxt.binance(
        {
            "apiKey": keys["api_key"],
            "secret": keys["api_secret"],
            "urls": {"api": {name: rest + path for name, path in paths.items()}},
            "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False},
        }
    )


async def a_visit(endpoints: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Buy at the market and place and cancel a limit order, as any other program would."""
    exchange = binance(endpoints, "visitor")
    try:
        await exchange.load_markets()
        bought = await exchange.create_order("BTC/USDT", "market", "buy", 0.001)
        resting = await exchange.create_order("BTC/USDT", "limit", "buy", 0.001, float(bought["average"]) * 0.9)
        cancelled = await exchange.cancel_order(resting["id"], "BTC/USDT")
        return bought, cancelled, len(await exchange.fetch_open_orders("BTC/USDT"))
    finally:
        await exchange.close()


async def at_the_exchange(endpoints: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the balances and the client order ids of what is open."""
    exchange = binance(endpoints, "main")
    try:
        account = await exchange.private_get_account()
        is_open = await exchange.private_get_openorders()
    finally:
        await exchange.close()
    balances = {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}
    return balances, {row["clientOrderId"] for row in is_open}


def agrees_with_the_exchange(stack: StackUnderTest) -> bool:
    _, is_open = asyncio.run(at_the_exchange(stack.endpoints()))
    known = stack.query("SELECT client_order_id FROM orders WHERE status IN ('ACCEPTED', 'PARTIALLY_FILLED')")
    return is_open == {row["client_order_id"] for row in known} and stack.ask("invariants")["violations"] == []


def what_must_be_kept(stack: StackUnderTest) -> dict[str, Any]:
    status = stack.ask("status")
    balances, is_open = asyncio.run(at_the_exchange(stack.endpoints()))
    return {
        "balances": balances,
        "open_orders": is_open,
        "state": (status["trading_state"], status["reason"]),
        "positions": stack.query(
            "SELECT account, symbol, quantity, cost, realised_pnl, fees FROM positions ORDER BY 2"
        ),
        "orders": stack.query("SELECT client_order_id, status, filled_quantity FROM orders ORDER BY 1"),
        "baselines": stack.query("SELECT account, day, equity, source FROM day_baselines ORDER BY 1, 2"),
    }


def test_other_programs_trade_beside_it(trading: StackUnderTest):
    bought, cancelled, still_open = asyncio.run(a_visit(trading.endpoints()))

    assert bought["status"] == "closed"
    assert Decimal(str(bought["filled"])) == Decimal("0.001")
    assert cancelled["status"] == "canceled"
    assert still_open == 0
    assert trading.ask("invariants")["violations"] == []


async def trade_by_hand(endpoints: Mapping[str, Any]) -> None:
    """Buy on the system's own account, past the system."""
    exchange = binance(endpoints, "main")
    try:
        await exchange.private_post_order({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"})
    finally:
        await exchange.close()


def halted_symbols(stack: StackUnderTest) -> list[str]:
    return [row["scope_symbol"] for row in stack.query("SELECT scope_symbol FROM halts WHERE cleared_at IS NULL")]


@pytest.mark.timeout(300)
def test_a_trade_by_hand_halts_its_symbol_until_a_person_has_accepted_it(trading: StackUnderTest):
    stack = trading
    before = len(stack.query("SELECT FROM movements"))
    asyncio.run(trade_by_hand(stack.endpoints()))

    found = until(lambda: stack.ask("reconcile", "show")["differences"], seconds=60, what="an alarm")
    until(partial(halted_symbols, stack), seconds=15, what="a halt")
    stack.trader("resume", "--reason", "too early", status=1)
    accepted = stack.ask("reconcile", "accept", str(found[0]["id"]), "--reason", "I bought these coins myself")
    stack.trader("resume", "--reason", "the trade is in the books")

    assert [(row["account"], row["symbol"], row["kind"]) for row in found] == [("main", "BTC/USDT", "TRADE")]
    assert accepted["id"] == found[0]["id"]
    assert stack.ask("reconcile", "show")["differences"] == []
    until(lambda: len(stack.query("SELECT FROM movements")) == before + 2, seconds=15, what="both ledgers changed")
    assert stack.ask("invariants")["violations"] == []
    assert stack.trader("reconcile", "accept", str(found[0]["id"]), "--reason", "again", status=1) == ""
    until(lambda: not halted_symbols(stack), seconds=15, what="no halt")
    stack.trader("start", "--reason", "on with it")


def test_two_stacks_at_once_do_not_disturb_each_other(trading: StackUnderTest, stack: StackUnderTest):
    stacks = (trading, stack)
    stack.start()
    restarts = [restarts_of(each) for each in stacks]
    fills = [number_of_fills(each) for each in stacks]

    for each, before in zip(stacks, fills, strict=True):
        until(partial(has_filled_since, each, before), seconds=120, what="two more fills")

    places = [each.endpoints() for each in stacks]
    for part in ("kafka", "redis", "postgres", "exchange_rest"):
        assert places[0][part] != places[1][part]
    orders = [{order["client_order_id"] for order in each.ask("orders", "--limit", "0")["orders"]} for each in stacks]
    assert not orders[0] & orders[1]
    for each in stacks:
        assert each.ask("invariants")["violations"] == []
    assert [restarts_of(each) for each in stacks] == restarts


@pytest.fixture
def still_market(tmp_path: Path) -> Path:
    """The demonstration's configuration on a market that stands still, so that nothing fills while we compare."""
    content = json.loads(Path("config/demo.json").read_text(encoding="utf-8"))
    content["market"]["speed"] = 0
    path = tmp_path / "still.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def stop_as_a_person(stack: StackUnderTest) -> None:
    stack.interrupt()
    until(lambda: stack.pids() == set(), seconds=STOPPED_S_MAX, what="no process left after Ctrl-C")


def test_every_process_may_be_killed_and_the_next_start_continues(trading: StackUnderTest, still_market: Path):
    stack = trading
    for name in sorted(PROCESSES):
        before = stack.processes()[name]
        os.kill(int(before["pid"]), signal.SIGKILL)
        until(
            partial(ready_again, stack, name, before["restarts"]),
            seconds=READY_S_MAX + 5,  # asking takes seconds itself
            what=f"everything ready {READY_S_MAX:g} s after a kill of {name}",
        )
    assert stack.ask("invariants")["violations"] == []
    assert stack.ask("audit", "verify")["verified"]

    stack.trader("halt", "--reason", "so that no entry is sent while we compare")
    stop_as_a_person(stack)
    stack.start("--config", str(still_market))  # a halt keeps protective orders, which a moving market would fill
    until(partial(agrees_with_the_exchange, stack), seconds=30, what="agreement with the exchange on what is open")
    kept = what_must_be_kept(stack)
    assert kept["state"][0] == "HALTED"
    stop_as_a_person(stack)
    stack.start("--config", str(still_market))

    assert what_must_be_kept(stack) == kept
    assert stack.ask("invariants")["violations"] == []


def test_nothing_outlives_a_killed_supervisor(trading: StackUnderTest):
    """Comes last: the stack that the tests of this file share is gone after it."""
    os.kill(trading.supervisor_pid(), signal.SIGKILL)

    until(lambda: trading.pids() == set(), seconds=STOPPED_S_MAX, what="no process left")
