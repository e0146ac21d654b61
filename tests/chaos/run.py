"""A run: round after round until enough kills count, then rest, then the proofs.

Invariant: a round begins only when everything is ready and entries are taken; what it hit is told by the records.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import aiohttp

from libs.common.clock import epoch_ms
from tests.chaos.aiming import take_aim
from tests.chaos.arena import QUARANTINE_S, Arena, Unsettled
from tests.chaos.evidence import FLIGHT, State, in_flight, inactive_s, step_of, was_active
from tests.chaos.faults import arm
from tests.chaos.plan import Act, Mishap, Round, rounds
from tests.chaos.records import read_intents, read_states, read_updates
from tests.chaos.report import Outcome, Report
from tests.chaos.settlement import journal_changes, settle
from tests.support.stack import StackUnderTest

READY_S_MAX: Final = 120.0
TRADING_S_MAX: Final = 120.0
REST_S_MAX: Final = 120.0
CALM_S: Final = 2.0
LOOK_S: Final = 0.02
FOUND: Final = 6
"""The exit status of a check that found something."""

_UNRESOLVED: Final = """
    SELECT client_order_id, status FROM orders
    WHERE status IN ('PREPARED', 'SUBMITTED', 'UNKNOWN')
       OR (status = 'QUARANTINED' AND updated_at > now() - make_interval(secs => $1))
"""


class Run:
    """One run on one stack."""

    def __init__(self, arena: Arena, report: Report) -> None:
        self._arena = arena
        self._report = report
        self._began_at = self._ended_at = arena.clock.now()
        self._unready_before_s = arena.history.unready_s

    async def until_enough(self) -> None:
        """Strike until enough kills count, or until far more were made than that should take."""
        report = self._report
        await self.until_trading(self._began_at)
        has_lists = False
        for planned in rounds(report.seed):
            outcome = await self._strike(planned)
            report.rounds.append(outcome)
            say(_line(report, planned, outcome))
            if report.counted >= report.wanted:
                return
            if not has_lists and 2 * report.counted >= report.wanted:
                has_lists = True  # the first half had protections of their own to hit
                await self._arena.command("CONFIGURE", "chaos: lists", changes={"exchange.entry_lists": "true"})
                say("entries and their exits are lists from now on")
                await self.until_trading(self._arena.clock.now())
            if report.made >= 2 * report.wanted + 10:
                raise Unsettled(f"expected {report.wanted} kills that count, found {report.counted} of {report.made}")

    async def _strike(self, planned: Round) -> Outcome:
        arena = self._arena
        struck_at, struck_s = arena.clock.now(), 0.0
        mishaps: list[asyncio.Task[str]] = []

        async def strike() -> None:
            nonlocal struck_at, struck_s
            await asyncio.sleep(planned.delay_s)
            struck_at, struck_s = arena.clock.now(), asyncio.get_running_loop().time()
            for victim in planned.victims:
                arena.kill(victim)
            if planned.mishap is not None:
                mishaps.append(asyncio.create_task(self._happen(planned.mishap)))

        fault = ""
        if planned.fault is not None:
            fault = planned.fault["kind"]
            try:
                await arm(arena.tail.directory.parent, planned.fault)
            except (aiohttp.ClientError, OSError) as error:
                fault += " (not armed)"
                say(f"  {fault}: {error!r}")
        aimed = await take_aim(arena, planned.aim, strike)
        happened = await asyncio.gather(*mishaps)
        recovery_s = await arena.until_ready(planned.victims, since_s=struck_s, seconds=READY_S_MAX)
        recovered_at = arena.clock.now()
        trading_s, halts = await self.until_trading(recovered_at)
        if halts:
            await asyncio.sleep(FLIGHT.total_seconds())  # the next kill counts only after so long a time of ACTIVE
        intents = await read_intents(arena, struck_at - timedelta(seconds=30))
        hit = in_flight(intents, struck_at)
        active = was_active(await read_states(arena), struck_at)
        return Outcome(
            number=planned.number,
            aim=planned.aim,
            victims=planned.victims,
            mishap="".join(happened),
            fault=fault,
            at=struck_at.isoformat(timespec="milliseconds"),
            aimed=aimed,
            active=active,
            step=step_of(hit, arena.tail.orders.get(hit.client_order_id), struck_at) if hit is not None else None,
            counted=active and hit is not None,
            why_not="" if active and hit is not None else "no order in flight" if active else "not ACTIVE",
            recovery_s=round(recovery_s, 2),
            trading_s=round(trading_s + recovery_s, 2),
            halts=halts,
        )

    async def _happen(self, mishap: Mishap) -> str:
        """Let something happen besides, and return what the report may say of it."""
        arena = self._arena
        try:
            match mishap.act:
                case Act.FREEZE:
                    held = arena.freeze(mishap.target)
                    try:
                        await asyncio.sleep(mishap.seconds)
                    finally:
                        arena.thaw(held)
                case Act.FLUSH:
                    await arena.flush_redis()
                case Act.POISON:
                    await arena.poison(mishap.target)
        except Exception as error:  # noqa: BLE001 - whom it was to happen to may just have been killed
            say(f"  {mishap} did not happen: {error!r}")
            return f"{mishap} (did not happen)"
        return str(mishap)

    async def until_trading(self, since: datetime) -> tuple[float, tuple[str, ...]]:
        """Wait until the exchange has taken an entry that it got after `since`; end explicit halts on the way."""
        arena, since_ms = self._arena, epoch_ms(since)
        began_s = asyncio.get_running_loop().time()
        halts: list[str] = []
        looked_s = began_s
        while True:
            arena.tail.poll()
            if arena.tail.entries_at_ms and arena.tail.entries_at_ms[-1] > since_ms:
                return asyncio.get_running_loop().time() - began_s, tuple(halts)
            now_s = asyncio.get_running_loop().time()
            if now_s - looked_s > 1.0:
                looked_s = now_s
                halts.extend(await self.end_halt())
            if now_s - began_s > TRADING_S_MAX:
                raise Unsettled(f"expected an entry within {TRADING_S_MAX:g} s, found none: {await self._why()}")
            await asyncio.sleep(LOOK_S)

    async def end_halt(self) -> Sequence[str]:
        """Resume where the account was halted explicitly; return why it was."""
        (row,) = await self._arena.query("SELECT state, trigger, reason, wants_active, causes FROM trading_state")
        if row["state"] == "HALTED":
            await self._arena.command("RESUME", "chaos: the cause is gone")
            await self._arena.command("START", "chaos: on with it")
            return [f"{row['trigger']}: {row['reason']}"]
        if not row["wants_active"]:
            await self._arena.command("START", "chaos: on with it")
        return []

    async def _why(self) -> str:
        states = await self._arena.query("SELECT state, reason, causes, halts, symbols_halted FROM trading_state")
        refusals = await self._arena.query(
            "SELECT reason, count(*) AS times FROM refusals WHERE decided_at > now() - interval '30 s' GROUP BY 1"
        )
        unresolved = await self._arena.query(_UNRESOLVED, QUARANTINE_S + CALM_S)
        return f"state {states}, refusals {refusals}, unresolved {unresolved}"

    async def rest(self) -> None:
        """Stop entries and wait until nothing is under way.

        Raises:
            Unsettled: It does not come to rest.
        """
        arena = self._arena
        self._ended_at = arena.clock.now()
        await arena.command("STOP", "chaos: the end")
        loop = asyncio.get_running_loop()
        ends_s, calm_since_s, lines = loop.time() + REST_S_MAX, loop.time(), -1
        while True:
            arena.tail.poll()
            unresolved = await arena.query(_UNRESOLVED, QUARANTINE_S + CALM_S)
            if unresolved or arena.tail.lines != lines:
                calm_since_s, lines = loop.time(), arena.tail.lines
            if loop.time() - calm_since_s > CALM_S:
                return
            if loop.time() > ends_s:
                raise Unsettled(f"expected rest within {REST_S_MAX:g} s, found {unresolved}")
            await asyncio.sleep(0.2)

    async def prove(self) -> None:
        """Compare everything with the exchange's journal, and say what the run was like."""
        arena, report = self._arena, self._report
        trader = StackUnderTest(arena.stack.directory.root)
        report.invariants = await asyncio.to_thread(_checked, trader, "invariants")
        report.audit = await asyncio.to_thread(_checked, trader, "audit", "verify")
        symbols = arena.place.configuration().symbols
        directory = arena.tail.directory
        report.imbalances = [str(each) for each in settle(journal_changes(directory), symbols)]
        states = await read_states(arena)
        length_s = max(1.0, (self._ended_at - self._began_at).total_seconds())
        report.inactive_fraction = round(inactive_s(states, self._began_at, self._ended_at) / length_s, 4)
        report.unready_fraction = round((arena.history.unready_s - self._unready_before_s) / length_s, 4)
        report.verdict_s = await self._verdicts()
        report.orders = {role: count for role, count in sorted(arena.tail.taken.items()) if role != "C"}
        self._judge(states)

    async def _verdicts(self) -> list[float]:
        doubted = {update.client_order_id for update in await read_updates(self._arena) if update.status == "UNKNOWN"}
        return [
            round((intent.verdict_at - intent.created_at).total_seconds(), 2)
            for intent in await read_intents(self._arena)
            if intent.client_order_id in doubted and intent.verdict_at is not None
        ]

    def _judge(self, states: Sequence[State]) -> None:
        report = self._report
        for violation in report.invariants.get("violations", ()):
            report.failures.append(f"invariant {violation}")
        if not report.audit.get("verified"):
            report.failures.append(f"audit {report.audit}")
        report.failures += [f"balance {each}" for each in report.imbalances]
        if not states:
            report.failures.append("expected the audit log to have the trading state, found none")


def say(message: str) -> None:
    """Tell how far the run is."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _checked(trader: StackUnderTest, *command: str) -> dict[str, Any]:
    try:
        return trader.ask(*command)
    except AssertionError:
        return trader.ask(*command, status=FOUND)


def _line(report: Report, planned: Round, outcome: Outcome) -> str:
    what = outcome.step if outcome.counted else f"does not count: {outcome.why_not}"
    halts = f"; halted: {', '.join(outcome.halts)}" if outcome.halts else ""
    return (
        f"{outcome.at[11:23]} {report.counted}/{report.wanted} {planned} -> {what}; "
        f"ready {outcome.recovery_s:.1f} s, entries {outcome.trading_s:.1f} s{halts}"
    )
