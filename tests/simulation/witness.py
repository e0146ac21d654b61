"""What must hold at every moment and at rest, seen from outside of every service.

Invariant: only the exchange's journal, committed tables and topics are looked at; no service is asked what it thinks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from aiokafka import TopicPartition

from libs.common.contracts.topics import TopicName
from libs.common.errors import OwnershipLostError, RetryableError
from libs.common.messaging.sealing import CommittedUnseenError
from libs.common.storage import keys
from libs.invariants import Look, assess
from libs.invariants.records import HaltRow
from libs.trading.orders import OrderStatus
from services.trade_executor.domain.orders import ExecutorOrder
from tests.simulation.books import books_of
from tests.simulation.exchange import SimulatedExchange
from tests.simulation.loop import Life, Process
from tests.simulation.machine import SimulatedClock, causes
from tests.simulation.services import System

SYMBOLS: Final = ("BTC/USDT", "ETH/USDT")
UNPUBLISHED_S_MAX: Final = 1.0
"""What was committed so lately may be on its way."""
RECEIVE_WINDOW_S: Final = 1.0
"""What was under way when its sender lost the role may still be accepted, but no longer than this."""
PERMIT_READ_S_MAX: Final = 0.15
"""How old what the last hop read may be when the request leaves."""
_LEAVING: Final = (OwnershipLostError, CommittedUnseenError, RetryableError)
"""What a process may end with; anything else is a bug."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be."""

    invariant: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject}: {self.detail}"


@dataclass
class _Halt:
    symbol: str | None
    strategy: str | None
    halted_at: datetime
    cleared_at: datetime | None = None


@dataclass
class Witness:
    """Looks on."""

    system: System
    exchange: SimulatedExchange
    exposure_max: Decimal
    findings: list[Finding] = field(default_factory=list)
    halts: dict[str, _Halt] = field(default_factory=dict)
    accepted: dict[int, str] = field(default_factory=dict)
    entries_accepted: int = 0
    _acknowledged: set[str] = field(default_factory=set)
    _opening: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        balances = self.exchange.truth.balances
        self._opening = {symbol: balances["main", symbol.split("/")[0]].total for symbol in SYMBOLS}
        self._clock = SimulatedClock(self.system.machine.loop)
        self.exchange.journal.observers.append(self._on_change)
        self.system.postgres.on_commit = self._on_commit

    def find(self, invariant: str, subject: str, detail: str) -> None:
        """Note something that must not be, once a subject."""
        finding = Finding(invariant, subject, detail)
        if not any((each.invariant, each.subject) == (invariant, subject) for each in self.findings):
            self.findings.append(finding)
            self.system.machine.say(f"VIOLATION {finding}")

    def look(self) -> None:
        """Look at what is cheap to see, again and again."""
        self._check_given_up()

    def _look_at_halts(self) -> None:
        """Note since when and until when a halt is committed, in true time: the machine's clock may be wrong."""
        account = self.system.risk.states.get("main")
        if account is not None:
            latched = {halt.halt_id: halt for halt in account.halts}
            for halt in latched.values():
                self.halts.setdefault(halt.halt_id, _Halt(halt.scope_symbol, halt.scope_strategy, self._clock.now()))
            for halt_id, known in self.halts.items():
                if known.cleared_at is None and halt_id in self._acknowledged and halt_id not in latched:
                    known.cleared_at = self._clock.now()
            self._acknowledged |= latched.keys()

    def halted(self, halt_id: str, *, symbol: str | None = None, strategy: str | None = None) -> None:
        """A halt was issued at this moment."""
        self.halts[halt_id] = _Halt(symbol, strategy, self._clock.now())

    def _on_commit(self, role: str, process: Process) -> None:
        owner = self.system.postgres.schemas[role].owner
        if owner is not None and owner is not process:
            self.find("only the owner writes", role, f"{process} wrote, owned by {owner}")
        if role == "risk_manager":
            self._look_at_halts()

    def _on_change(self, change: dict[str, Any]) -> None:
        if change["type"] == "order" and change["order_id"] not in self.accepted:
            self._on_accepted(change)
        if change["type"] == "balance" and change["account"] == "main":
            self._on_balance()

    def _on_accepted(self, change: dict[str, Any]) -> None:
        name = change["client_order_id"]
        if name in self.accepted.values():
            self.find("an order is accepted once", name, "accepted again")
        self.accepted[change["order_id"]] = name
        sender = self.system.network.sender
        executor = self.system.postgres.schemas["trade_executor"]
        if sender is not None and executor.owner is not sender.process:
            under_way_s = self.system.machine.loop.time() - sender.at_s
            if sender.at_s > executor.owned_since_s or under_way_s > RECEIVE_WINDOW_S:
                self.find("nothing is accepted of a predecessor", name, f"sent by {sender}, owned by {executor.owner}")
        if name.startswith("ctE"):
            self.entries_accepted += 1
            lapsed_s = sender.at_s - self._permitted_until_s if sender is not None else 0.0
            if lapsed_s > PERMIT_READ_S_MAX:
                self.find("an entry has a permit", name, f"sent {lapsed_s:.3f} s after the last one lapsed")

    def _on_balance(self) -> None:
        exposure = Decimal(0)
        for symbol, opening in self._opening.items():
            bought = self.exchange.truth.balances["main", symbol.split("/")[0]].total - opening
            if bought < 0:
                self.find("coins from before are untouched", symbol, f"{-bought:f} of them were sold")
            exposure += bought * self.exchange.bid(symbol)
        if exposure > self.exposure_max:
            self.find("exposure is within its limit", "main", f"{exposure:f} above {self.exposure_max}")

    @property
    def _permitted_until_s(self) -> float:
        return self.system.shared.expired_at_s.get(keys.permit("main"), float("-inf"))

    # At rest.

    def _check_given_up(self) -> None:
        """What was given up as never accepted never shows up: the exchange refuses what is older than its window."""
        names = {order.client_order_id for order in self.system.tables.orders.values() if order.status in _GIVEN_UP}
        for name in names & set(self.accepted.values()):
            self.find("what is given up was never accepted", name, "the exchange accepted it")

    def restless(self) -> str:
        """Return what is not at rest yet, or nothing."""
        return next((found for look in (self._unsettled, self._unread, self._unseen) if (found := look())), "")

    def _unsettled(self) -> str:
        """Return which process or order has not settled."""
        if any(process.life is Life.FROZEN for each in self.system.machine.processes.values() for process in each):
            return "a frozen process"
        unresolved = [order for order in self.system.tables.orders.values() if order.is_unresolved]
        return f"order {unresolved[0].client_order_id} {unresolved[0].status}" if unresolved else ""

    def _unread(self) -> str:
        """Return who has not published or read everything."""
        system = self.system
        settled_s = system.machine.loop.time() - UNPUBLISHED_S_MAX
        for role, schema in system.postgres.schemas.items():
            if schema.lock is None or schema.lock.is_closed():
                return f"nobody owns {role}"
            if any(not row.published for row in schema.outbox if row.recorded_at_s < settled_s):
                return f"the outbox of {role}"
            for (topic, partition), (following, _) in schema.offsets.items():
                if (
                    following < len(system.cluster.log(TopicPartition(topic, partition)))
                    and topic not in _ALWAYS_MOVING
                ):
                    return f"{role} has not read {topic}"
        return ""

    def _unseen(self) -> str:
        """Return what the exchange knows and the tables do not."""
        ours = {order.client_order_id: order for order in self.system.tables.orders.values()}
        for truth in self.exchange.truth.orders.values():
            known = ours.get(truth.client_order_id)
            if truth.is_ours and known is not None and not truth.is_open and not known.is_over:
                return f"order {truth.client_order_id} ended at the exchange"
        booked = len(self.system.ledger.bookings)
        return "fills that are not booked" if len(self.exchange.truth.fills) > booked else ""

    def at_rest(self) -> None:
        """Check what must hold when nothing is under way."""
        now = self.system.machine.clock.now()
        halts = [
            HaltRow(
                halt_id=halt_id,
                account="main",
                symbol=halt.symbol,
                strategy=halt.strategy,
                halted_at=halt.halted_at,
                cleared_at=halt.cleared_at,
            )
            for halt_id, halt in self.halts.items()
        ]
        truth = self.exchange.truth
        look = Look(before=truth, books=books_of(self.system, halts, now), after=truth, symbols=SYMBOLS)
        for tally in assess(look):
            for violation in tally.violations:
                self.find(tally.invariant, violation.order, f"expected {violation.expected}, found {violation.found}")
        self._check_answers()
        self._check_stops()
        for role, schema in self.system.postgres.schemas.items():
            self._check_published(role, schema.outbox)
        self.check_ends()

    def check_ends(self) -> None:
        """No process ended in a way that nobody foresaw."""
        for _, name, error in self.system.machine.ends:
            if not _foreseen(error):
                self.find("a process ends only as foreseen", name, causes(error))
        for complaint in self.system.machine.loop.complaints:
            if "was destroyed" not in complaint:
                self.find("every error is handled", complaint[:80], complaint)

    def _check_answers(self) -> None:
        """Every approval has one final answer, and no claim outlives it."""
        finals = Counter(
            order.intent_id for order in self.system.tables.orders.values() if order.approved and order.final
        )
        for claim in self.system.risk.claims.values():
            order = self.system.tables.orders.get(claim.intent_id)
            if order is None or finals[claim.intent_id] != 1:
                self.find("an approval is answered once", str(claim.intent_id), f"{order and order.status}")

    def _check_stops(self) -> None:
        """No stop was placed below an earlier one of its position, and those that trail rest where they belong."""
        stops: dict[UUID, list[ExecutorOrder]] = {}
        for order in self.system.tables.orders.values():  # as they were recorded: the clock may have been set
            if order.is_stop:
                stops.setdefault(order.chain_id, []).append(order)
        for placed in stops.values():
            prices = [order.stop_price or Decimal(0) for order in placed]
            if prices != sorted(prices):
                self.find("a stop never comes down", placed[0].client_order_id, f"placed at {prices}")
        for held in self.system.ledger.positions.values():
            resting = [order for order in stops.get(held.entry_intent_id or UUID(int=0), ()) if order.is_working]
            if held.trailing_stop is not None and any(order.stop_price != held.trailing_stop for order in resting):
                self.find("a stop rests where it belongs", held.symbol, f"{resting} for {held.trailing_stop}")

    def _check_published(self, role: str, rows: Sequence[Any]) -> None:
        """Every row of the outbox is on its topic, for the first time after those before it."""
        first: dict[tuple[str, str], tuple[int, int]] = {}
        for place, log in self.system.cluster.logs.items():
            for record in log:
                event_id = dict(record.headers)["event_id"].decode()
                first.setdefault((place.topic, event_id), (place.partition, record.offset))
        reached: dict[tuple[str, str, int], int] = {}
        seen: set[str] = set()
        for row in sorted(rows, key=lambda row: (row.account, row.sequence)):
            if row.headers["event_id"] in seen:
                continue  # written down again, because the answer to its first commit was lost
            seen.add(row.headers["event_id"])
            found = first.get((row.topic, row.headers["event_id"]))
            if found is None and row.recorded_at_s > self.system.machine.loop.time() - UNPUBLISHED_S_MAX:
                continue
            if found is None:
                self.find("what is committed is published", f"{role} {row.account} {row.sequence}", row.topic)
                continue
            place = (row.account, row.topic, found[0])
            if found[1] < reached.get(place, -1):
                self.find("events are published in account order", f"{role} {row.account} {row.sequence}", row.topic)
            reached[place] = max(found[1], reached.get(place, -1))


_GIVEN_UP: Final = frozenset({OrderStatus.QUARANTINED, OrderStatus.ABANDONED})
_ALWAYS_MOVING: Final = frozenset({TopicName.ACCOUNT_EQUITY, TopicName.HEARTBEATS, TopicName.CONTROL_STATE})


def _foreseen(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_foreseen(inner) for inner in error.exceptions)
    return isinstance(error, _LEAVING)
