"""Every signal gets exactly one answer per account: an approval or a refusal with its reason."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from libs.common.clock import Clock
from libs.common.configuration import LiveConfiguration
from libs.common.contracts.event import Envelope, Event
from libs.common.contracts.events import OrderApproved, OrderRefused, SignalGenerated
from libs.common.contracts.vocabulary import Role
from libs.common.control.halts import HaltRecord
from libs.common.errors import InvalidMessageError
from libs.common.observability import metrics
from libs.policy import limits_of
from libs.trading import risk as core
from libs.trading.instruments import Instrument
from libs.trading.market import Quote
from services.risk_manager.domain.answers import Refusal, ServiceRefusal
from services.risk_manager.domain.claims import HeldPosition
from services.risk_manager.domain.decision import (
    Setting,
    approval,
    claim_of,
    decide,
    newest,
    quote_of,
    refusal_of,
    sale_of,
)
from services.risk_manager.domain.figures import AccountSnapshot
from services.risk_manager.domain.limits import exposure_of
from services.risk_manager.domain.trading_state import AccountState
from services.risk_manager.service.ports import (
    DecisionFacts,
    Instruments,
    Market,
    ReservationOutcome,
    RiskBook,
    RiskRecords,
)

_PROPOSED: Final = frozenset({Role.ENTRY, Role.EXIT})
"""What a signal may ask for; a liquidation needs a signed command or an emergency, protection its entry."""


class SignalJudge:
    """Gate between strategies and the exchange: nothing is ordered without its approval.

    Args:
        configuration: The limits and the accounts; every account subscribes to every strategy.
        epoch: Returns the epoch under which this process owns the risk state.
        book: The shared risk state, decided on atomically.
        market: The observed market.
        instruments: The exchange's rules of each symbol.
        clock: The moment of the decision.
    """

    def __init__(
        self,
        *,
        configuration: LiveConfiguration,
        epoch: Callable[[], int],
        book: RiskBook,
        market: Market,
        instruments: Instruments,
        clock: Clock,
    ) -> None:
        self._configuration = configuration
        self._epoch = epoch
        self._book = book
        self._market = market
        self._instruments = instruments
        self._clock = clock

    async def on_signal(self, envelope: Envelope[SignalGenerated], records: RiskRecords) -> Sequence[Event]:
        """Return one answer for every account that the signal means and that has none yet.

        Raises:
            InvalidMessageError: The signal names an account that is not configured.
        """
        signal = envelope.event
        accounts = self._configuration.current.exchange.accounts
        if signal.account is not None and signal.account not in accounts:
            raise InvalidMessageError("unknown account", expected=", ".join(accounts), found=signal.account)
        answers: list[Event] = []
        for account in accounts if signal.account is None else (signal.account,):
            snapshot, quote = await self._look(account, signal, records)
            if not snapshot.decided:
                answers.append(await self._answer(signal, snapshot, quote, records))
        return answers

    async def liquidate(self, halt: HaltRecord, state: AccountState, records: RiskRecords) -> Sequence[Event]:
        """Return the orders that sell every position in the scope of a halt.

        Args:
            halt: A verified command's, or an emergency's that is configured to liquidate.
            state: The account's stored state with that halt latched: its epoch is the approvals'.
            records: The stored risk state.
        """
        answers: list[Event] = []
        for position in await records.positions(state.account):
            in_scope = halt.stops(state.account, symbol=position.symbol, strategy=position.strategy)
            if position.is_open and in_scope:
                answers += await self.sell(halt, state, position, "", records)
        return answers

    async def sell(
        self, halt: HaltRecord, state: AccountState, position: HeldPosition, attempt: str, records: RiskRecords
    ) -> Sequence[Event]:
        """Return the order that sells one position because of a halt; see `liquidate`.

        Args:
            halt: See `liquidate`, `state` and `records` likewise.
            state: See `halt`.
            position: What to sell all of.
            attempt: Names a further sale after one that did not do it; the first has no name.
            records: See `halt`.
        """
        order = sale_of(position, halt, await records.mark(state.account), now=self._clock.now(), attempt=attempt)
        snapshot, quote = await self._look(state.account, order, records)
        return () if snapshot.decided else [await self._decide(order, snapshot, quote, records)]

    async def _look(
        self, account: str, signal: SignalGenerated, records: RiskRecords
    ) -> tuple[AccountSnapshot, Quote | None]:
        """Return what is stored and the newest quote, asked for at once: a signal waits for both."""
        return await asyncio.gather(
            records.snapshot(account, signal.signal_id, now=self._clock.now()), self._market.quote(signal.symbol)
        )

    async def _answer(
        self, signal: SignalGenerated, snapshot: AccountSnapshot, quote: Quote | None, records: RiskRecords
    ) -> Event:
        if signal.role in _PROPOSED:
            return await self._decide(signal, snapshot, quote, records)
        refusal = Refusal(ServiceRefusal.ROLE_NEEDS_AN_ORDER_FROM_ABOVE, "ENTRY or EXIT", signal.role)
        return await self._refuse(signal, snapshot.state, refusal, records)

    async def _decide(
        self, signal: SignalGenerated, snapshot: AccountSnapshot, quote: Quote | None, records: RiskRecords
    ) -> Event:
        instrument = self._instruments.get(signal.symbol)
        if instrument is None:
            refusal = Refusal(ServiceRefusal.INSTRUMENT_IS_UNKNOWN, f"the exchange's rules of {signal.symbol}", "none")
            return await self._refuse(signal, snapshot.state, refusal, records)
        setting = self._setting(signal, snapshot, newest(quote, quote_of(signal)), instrument)
        with metrics.RISK_CHECK_SECONDS.time():
            decision = decide(setting)
            if isinstance(decision, core.Approved) and signal.role is Role.ENTRY:
                decision = await self._reserved(decision, setting)
        if isinstance(decision, Refusal):
            return await self._refuse(signal, snapshot.state, decision, records, setting)
        return await self._approve(decision, setting, records)

    def _setting(
        self, signal: SignalGenerated, snapshot: AccountSnapshot, quote: Quote | None, instrument: Instrument
    ) -> Setting:
        mark, account = snapshot.mark, snapshot.state.account
        return Setting(
            now=self._clock.now(),
            signal=signal,
            account=account,
            state=snapshot.state,
            positions=snapshot.positions,
            claims=snapshot.claims,
            exposure=exposure_of(
                mark=mark, positions=snapshot.positions, claims=snapshot.claims, recent=snapshot.recent
            ),
            limits=limits_of(self._configuration.of(account), equity=mark.equity if mark is not None else None),
            facts=self._market.facts(signal.symbol),
            quote=quote,
            instrument=instrument,
        )

    async def _reserved(self, decision: core.Approved, setting: Setting) -> core.Approved | Refusal:
        """Confirm an approval atomically: what Redis holds may be newer than what this transaction saw."""
        limits = setting.limits
        reservation = await self._book.reserve(
            claim_of(decision, setting), positions_max=limits.positions_max, exposure_max=limits.exposure_notional_max
        )
        match reservation.outcome:
            case ReservationOutcome.RESERVED:
                return decision
            case ReservationOutcome.UNAVAILABLE:
                return Refusal(ServiceRefusal.RISK_STATE_IS_UNAVAILABLE, "shared risk state", reservation.observed)
            case outcome:
                return Refusal(outcome, "as reserved by all", reservation.observed)

    async def _approve(self, decision: core.Approved, setting: Setting, records: RiskRecords) -> OrderApproved:
        answer = approval(
            decision,
            setting,
            lifetime=timedelta(seconds=self._configuration.current.exchange.approval_lifetime_s),
            risk_epoch=self._epoch(),
            configuration_version=self._configuration.version,
        )
        claim = claim_of(decision, setting)
        await records.save_approval(answer, self._facts(setting.state, setting, claim.notional), claim)
        records.after_commit(lambda: self._book.claim_changed(claim))
        metrics.RISK_DECISIONS.labels(outcome="approved", reason="").inc()
        return answer

    async def _refuse(
        self,
        signal: SignalGenerated,
        state: AccountState,
        refusal: Refusal,
        records: RiskRecords,
        setting: Setting | None = None,
    ) -> OrderRefused:
        answer = refusal_of(signal, state.account, refusal, now=self._clock.now())
        await records.save_refusal(answer, self._facts(state, setting, None))
        metrics.RISK_DECISIONS.labels(outcome="refused", reason=refusal.reason).inc()
        return answer

    def _facts(self, state: AccountState, setting: Setting | None, notional: Decimal | None) -> DecisionFacts:
        return DecisionFacts(
            configuration_version=self._configuration.version,
            configuration_hash=self._configuration.hash,
            risk_epoch=self._epoch(),
            halt_epoch=state.halt_epoch,
            state=state.state,
            notional=notional,
            inputs=setting.inputs if setting is not None else {},
        )
