"""The exchange survives a kill at any moment, ends when told to, and says what is wrong when it cannot start."""

import json
import signal
import socket
import subprocess
import time
from decimal import Decimal

import pytest

from tests.contract.paper_exchange.paper_exchange_process import PaperExchangeProcess, running_exchange

BTC = "BTC/USDT"


async def what_a_client_sees(exchange: PaperExchangeProcess):
    client = exchange.client("visitor")
    try:
        return {
            "balances": (await client.private_get_account())["balances"],
            "open": await client.private_get_openorders({"symbol": "BTCUSDT"}),
            "lists": await client.private_get_openorderlist(),
            "orders": await client.private_get_allorders({"symbol": "BTCUSDT"}),
            "trades": await client.private_get_mytrades({"symbol": "BTCUSDT"}),
        }
    finally:
        await client.close()


async def trade_a_little(exchange: PaperExchangeProcess):
    client = exchange.client("visitor")
    try:
        await client.load_markets()
        await client.create_order(BTC, "market", "buy", 0.01)
        price = (await client.fetch_last_prices([BTC]))[BTC]["price"]
        low, high = (client.price_to_precision(BTC, price * factor) for factor in (0.9, 1.1))
        await client.create_order(BTC, "limit", "buy", 0.01, float(low))
        await client.private_post_orderlist_oco(
            {
                "symbol": "BTCUSDT",
                "side": "SELL",
                "quantity": "0.01",
                "aboveType": "LIMIT_MAKER",
                "abovePrice": high,
                "belowType": "STOP_LOSS",
                "belowStopPrice": low,
            }
        )
        working = {"workingType": "LIMIT", "workingSide": "BUY", "workingQuantity": "0.01", "pendingSide": "SELL"}
        exits = {"pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": high}
        exits |= {"pendingBelowType": "STOP_LOSS", "pendingBelowStopPrice": low}
        bracket = {"symbol": "BTCUSDT"} | working | exits
        await client.private_post_orderlist_otoco(
            bracket | {"workingPrice": low, "workingTimeInForce": "GTC", "pendingQuantity": "0.00999"}
        )
        await client.private_post_orderlist_opoco(bracket | {"workingPrice": high, "workingTimeInForce": "FOK"})
        return await client.public_get_trades({"symbol": "BTCUSDT", "limit": 100})
    finally:
        await client.close()


async def test_after_a_kill_everything_is_as_it_was_and_the_market_goes_on(tmp_path):
    with running_exchange(tmp_path) as exchange:
        trades = await trade_a_little(exchange)
        before = await what_a_client_sees(exchange)
        exchange.kill()
        exchange.start()
        after = await what_a_client_sees(exchange)

        client = exchange.client("visitor")
        try:
            later = await client.public_get_historicaltrades(
                {"symbol": "BTCUSDT", "fromId": trades[0]["id"], "limit": 1_000}
            )
        finally:
            await client.close()

    assert after == before
    assert {order["status"] for order in before["open"]} == {"NEW", "PENDING_NEW"}
    assert [each["contingencyType"] for each in before["lists"]] == ["OCO", "OTO", "OTO"]
    assert later[: len(trades)] == trades, "the past is not rewritten"
    ids = [int(trade["id"]) for trade in later]
    assert ids == list(range(ids[0], ids[0] + len(ids))), "the numbers go on without a gap"
    jump = abs(Decimal(str(later[len(trades) - 1]["price"])) / Decimal(str(later[-1]["price"])) - 1)
    assert jump < Decimal("0.005"), "the price goes on where it stood"


async def test_the_journal_alone_explains_the_balances(tmp_path):
    with running_exchange(tmp_path) as exchange:
        await trade_a_little(exchange)
        seen = await what_a_client_sees(exchange)

    files = sorted((tmp_path / "journal").glob("*.jsonl"))
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    changes = [change for line in lines for change in line["changes"]]
    expected: dict[str, Decimal] = {}
    for change in changes:
        if change.get("account") != "visitor":
            continue
        if change["type"] == "transfer":
            expected[change["asset"]] = expected.get(change["asset"], Decimal(0)) + Decimal(change["amount"])
        if change["type"] == "fill":
            bought = 1 if change["side"] == "BUY" else -1
            expected["BTC"] += bought * Decimal(change["quantity"])
            expected["USDT"] -= bought * Decimal(change["quote_quantity"])
            expected[change["commission_asset"]] -= Decimal(change["commission"])

    found = {row["asset"]: Decimal(row["free"]) + Decimal(row["locked"]) for row in seen["balances"]}
    assert found == expected
    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_orderly_and_soon_when_told_to(tmp_path, number):
    exchange = PaperExchangeProcess(tmp_path, measured=True)
    exchange.start()
    process = exchange._process
    assert process is not None

    begun = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=10)

    assert process.returncode == 0
    assert time.monotonic() - begun < 10  # 3 s on a machine that does nothing else


def test_keys_and_the_told_addresses_are_private_and_keys_stay(tmp_path):
    with running_exchange(tmp_path) as exchange:
        keys = exchange.keys
        exchange.kill()
        exchange.start()

        assert exchange.keys == keys
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.json")} == {
        "keys.json": 0o600,
        "exchange.json": 0o600,
    }


def outcome(exchange: PaperExchangeProcess) -> tuple[int, str]:
    process = exchange.launch()
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, errors


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"port": "70000"}, "PAPER_EXCHANGE_PORT"),
        ({"market": "imagined"}, "PAPER_EXCHANGE_MARKET"),
        ({"symbols": "DOGEUSDT"}, "PAPER_EXCHANGE_SYMBOLS"),
        ({"speed": "-1"}, "PAPER_EXCHANGE_SPEED"),
        ({"scenario_file": "scenario.json"}, "PAPER_EXCHANGE_MARKET=generated"),
        ({"market": "generated", "scenario_file": "missing.json"}, "missing.json"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_with_status_4(tmp_path, variables, complaint):
    status, errors = outcome(PaperExchangeProcess(tmp_path, measured=True, **variables))

    assert status == 4
    assert complaint in errors
    assert "Traceback" not in errors


def test_a_port_in_use_ends_with_status_1_and_says_what_to_do(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, errors = outcome(PaperExchangeProcess(tmp_path, measured=True, port=str(taken.getsockname()[1])))

    assert status == 1
    assert "PAPER_EXCHANGE_PORT=0" in errors


def test_a_journal_is_not_continued_on_another_market(tmp_path):
    with running_exchange(tmp_path):
        pass

    status, errors = outcome(PaperExchangeProcess(tmp_path, measured=True, market="generated"))

    assert status == 4
    assert "an empty directory" in errors
