"""The exchange's ground truth on disk, written before any answer or event leaves.

Invariant: what a client was told is in the journal; what is not in the journal was told to nobody.

Files in `<data_dir>/journal/`, meant to be read by other programs without this package:

- `journal-<number>.jsonl`: UTF-8, one JSON object a line, one line a transaction (all of it happened at once):
  `{"sequence": 17, "at_ms": <exchange time>, "place_ms": <place on the tape>, "counters": {"order": n, "list": n,
  "execution": n, "prevented": n, "client_trades": {symbol: n}}, "changes": [...]}`: the last ids given out, and how
  many trades clients ever took part in. `sequence` rises by one from line to line and from file to file. A last line
  without a line feed was never completed and does not count.
- The first line of each file has `"snapshot": true`: its changes are the complete state at that moment (balances, open
  orders and lists, the most recent closed ones and fills), so the oldest file present can be read on its own. The very
  first snapshot holds the opening balances.
- `place`: the tape's place in milliseconds as twenty characters, overwritten in place as the market moves; the present
  place is the larger one of this and the last line's `place_ms`.

Changes carry absolute state, never differences; numbers are decimal strings:

- `{"type": "market", "identity"}` and `{"type": "segment", "wall_ms", "place_ms", "speed"}`: which market runs, and
  from when, where and how fast.
- `{"type": "balance", "account", "asset", "free", "locked"}`.
- `{"type": "transfer", "account", "asset", "amount"}`: the only change of a balance that is no fill; the opening
  balances are transfers too.
- `{"type": "order", "order_id", "account", "client_order_id", "symbol", "side", "order_type", "quantity", "price",
  "status", "executed_quantity", ...}`: an order was accepted or changed; its first one is its acceptance.
- `{"type": "order_list", "order_list_id", "list_client_order_id", "order_ids", "done", ...}`.
- `{"type": "fill", "trade_id", "order_id", "account", "symbol", "side", "price", "quantity", "commission",
  "commission_asset", "maker", "at_ms", ...}`: one account's side of a trade.
- `{"type": "prevented_match", "prevented_match_id", "taker_order_id", "maker_order_id", ...}`: a trade of an account
  with itself that did not happen.
- `{"type": "queue", "order_id", "ahead", "shown", "turn"}`: the recorded lots that must trade before a resting order,
  how many of its own the book shows, and its turn at its price; in lots.
- `{"type": "taken", "symbol", "place_ms", "levels": [[side, price, lots], ...]}`: what clients had taken at that place
  of the recorded quote in force; in ticks and lots, and void with the next quote.

- `{"type": "symbol", "symbol", "status", "limits"}`: what trades not as it was listed, in the names of `SymbolRules`.
- `{"type": "fault", "fault", "kind", "at_ms", ...}`: a fault that somebody asked for happened now, to whom and how
  (`services/paper_exchange/faults`); it changes nothing by itself.

Durability: each line is one `write` before anything leaves, which survives the death of the process (kill -9); `fsync`
is called at a snapshot and at an orderly stop, so a power failure can cost what the kernel had not written yet.
Growth: after `JOURNAL_BYTES_MAX` a file is closed with a snapshot in the next one, and `JOURNAL_FILES_MAX` are kept.
"""

from services.paper_exchange.journal.state import State
from services.paper_exchange.journal.writer import Journal

__all__ = ["Journal", "State"]
