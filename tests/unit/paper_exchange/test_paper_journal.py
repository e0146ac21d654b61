"""A restart continues exactly; a journal that was cut off loses nothing that was answered."""

import json

import pytest

from libs.common.errors import ConfigurationError, InvalidMessageError
from libs.trading.matching import Side
from services.paper_exchange.journal import Journal
from services.paper_exchange.venue.records import fill_record, list_record, order_record
from tests.unit.paper_exchange.paper_exchange_builders import PRICE, VenueBench, a_recording, an_order


def everything(bench: VenueBench):
    venue = bench.venue
    return (
        bench.money(),
        bench.money("other"),
        [order_record(order) for order in venue.desk.orders()],
        [list_record(order_list) for order_list in venue.desk.lists()],
        [fill_record(fill) for fill in venue.desk.fills()],
        {order_id: order.ahead_lots for order_id, order in venue.books["BTCUSDT"].orders.items()},
        venue.history.place_ms,
        venue.history.recent("BTCUSDT", 20),
    )


def trade_a_little(bench: VenueBench) -> None:
    bench.wait(1_000)
    bench.venue.place("main", an_order("MARKET"))
    bench.venue.place("main", an_order(price=PRICE))
    bench.place_oco(
        "main",
        "list-1",
        an_order("LIMIT_MAKER", side=Side.SELL, price=PRICE + 900),
        an_order("STOP_LOSS", side=Side.SELL, stop_price=PRICE - 900),
    )
    cancelled, _, _ = bench.venue.place("main", an_order(price=PRICE - 100))
    bench.venue.cancel("main", cancelled, "cancel-1")


QUEUE = a_recording(trades=[(1, PRICE, 10), (1_500, PRICE, 300), (2_500, PRICE, 800)])


def test_a_restart_continues_exactly(tmp_path):
    bench = VenueBench(tmp_path, QUEUE)
    trade_a_little(bench)
    bench.wait(1_000)  # 300 of the 1 000 lots ahead of the resting order trade
    before = everything(bench)

    bench.clock.move(3_600_000)
    bench.start()

    assert everything(bench) == before
    assert before[5][2] == 700
    bench.wait(1_000)  # 800 more: the order's turn
    assert bench.venue.desk.order(2).executed == 100


def test_what_was_taken_of_a_quote_stays_taken_over_a_restart_until_the_next_quote(tmp_path):
    bench = VenueBench(tmp_path, a_recording(quotes=[(0, PRICE), (5_000, PRICE)]))
    bench.wait(1_000)
    bench.venue.place("main", an_order("MARKET", lots=600))  # of the 1 000 lots on offer

    bench.start()
    (first, second) = bench.venue.place("other", an_order("MARKET", lots=500)).fills

    assert (first.price, first.lots) == (PRICE + 1, 400)
    assert second.price > PRICE + 1
    bench.wait(4_500)
    bench.start()
    assert [fill.price for fill in bench.venue.place("other", an_order("MARKET", lots=500)).fills] == [PRICE + 1]


def test_orders_keep_their_turns_though_a_later_one_came_to_rest_first(tmp_path):
    falling = a_recording(
        quotes=[(0, PRICE), (2_000, PRICE - 1_000)], trades=[(1, PRICE, 10), (2_100, PRICE - 1_000, 500)]
    )
    bench = VenueBench(tmp_path, falling)
    bench.wait(1_000)
    stop = an_order("STOP_LOSS_LIMIT", side=Side.SELL, stop_price=PRICE - 900, price=PRICE - 500)
    bench.venue.place("main", stop)
    bench.venue.place("other", an_order(side=Side.SELL, price=PRICE + 500))
    bench.wait(1_500)
    bench.venue.place("other", an_order(side=Side.SELL, price=PRICE - 500))  # behind the stop that has triggered

    bench.start()

    turns = {order_id: order.turn for order_id, order in bench.venue.books["BTCUSDT"].orders.items()}
    assert turns == {2: 1, 1: 2, 3: 3}


def test_a_journal_of_the_version_before_icebergs_is_read(tmp_path):
    bench = VenueBench(tmp_path, QUEUE)
    trade_a_little(bench)
    bench.venue.close()
    before = everything(bench)
    (path,) = tmp_path.glob("journal-*.jsonl")
    new = {"iceberg_quantity", "trailing_delta", "trailing_at_ms", "best_price", "prevented_quantity", "shown", "turn"}
    new |= {"prevented_match_id"}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        del line["counters"]["prevented"]
        line["changes"] = [
            {name: value for name, value in change.items() if name not in new}
            for change in line["changes"]
            if change["type"] != "taken"
        ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    bench.start()

    assert everything(bench) == before


def test_the_place_of_the_market_survives_without_any_order(tmp_path):
    bench = VenueBench(tmp_path)
    bench.wait(2_345)

    bench.clock.move(10)
    bench.start()

    assert bench.venue.history.place_ms == 2_345


def test_a_line_that_was_cut_off_does_not_count_and_the_next_one_follows(tmp_path):
    bench = VenueBench(tmp_path)
    trade_a_little(bench)
    before = everything(bench)
    (path,) = tmp_path.glob("journal-*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"sequence": 99, "at_ms"')

    bench.start()
    assert everything(bench) == before
    bench.venue.place("main", an_order("MARKET"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))


def test_a_full_file_is_followed_by_one_that_begins_with_everything(tmp_path):
    bench = VenueBench(tmp_path, bytes_max=4_000)
    for _ in range(3):
        trade_a_little_more(bench)
    before = everything(bench)
    files = sorted(tmp_path.glob("journal-*.jsonl"))

    bench.start()

    assert len(files) > 1
    assert all(json.loads(path.read_text().splitlines()[0])["snapshot"] for path in files)
    assert everything(bench) == before


def trade_a_little_more(bench: VenueBench) -> None:
    bench.wait(1_000)
    for _ in range(3):
        bench.venue.place("main", an_order("MARKET"))


def test_a_snapshot_that_was_cut_off_is_written_again(tmp_path):
    bench = VenueBench(tmp_path)
    trade_a_little(bench)
    before = everything(bench)
    (tmp_path / "journal-000000000099.jsonl").write_bytes(b'{"sequence": 99')

    bench.start()

    assert everything(bench) == before


@pytest.mark.parametrize(("number", "text"), [(2, "no json"), (2, '{"sequence": 7}')])
def test_a_damaged_journal_is_refused(tmp_path, number, text):
    bench = VenueBench(tmp_path)
    trade_a_little(bench)
    (path,) = tmp_path.glob("journal-*.jsonl")
    lines = path.read_text().splitlines()
    lines[number] = text
    path.write_text("\n".join(lines) + "\n")

    with pytest.raises(InvalidMessageError, match="journal"):
        Journal(tmp_path)


def test_a_journal_of_another_market_is_refused(tmp_path):
    bench = VenueBench(tmp_path)

    with pytest.raises(ConfigurationError, match="empty directory"):
        bench.start(identity="another")


def test_an_orderly_end_brings_the_journal_up_to_the_present(tmp_path):
    bench = VenueBench(tmp_path)
    bench.clock.move(700)

    bench.venue.close()

    assert int((tmp_path / "place").read_text()) == 700
