"""One decision: everything it looks at, and the pure functions that make it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from libs.common.clock import epoch_ms
from libs.common.contracts.events import OrderApproved, OrderRefused, SignalGenerated
from libs.common.contracts.fields import TEXT_CHARACTERS_MAX
from libs.common.contracts.vocabulary import Role, Side
from libs.common.control.halts import HaltRecord
from libs.trading import market as core_market
from libs.trading import risk as core
from libs.trading.instruments import Instrument
from libs.trading.money import plain, round_to_tick
from services.risk_manager.domain.answers import Refusal, ServiceRefusal, intent_id_of
from services.risk_manager.domain.claims import Claim, HeldPosition, Phase, bought_before
from services.risk_manager.domain.figures import MarketFacts, StoredMark
from services.risk_manager.domain.trading_state import AccountState

LIQUIDATION_LIFETIME: Final = timedelta(seconds=30)
"""An order from above is wanted at whatever price: it may wait longer than a decision on a price."""

_PRICE_DIGITS: Final = Decimal("1e-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that one decision looks at.

    Attributes:
        quote: The newest best bid and ask; None where nobody knows it.
    """

    now: datetime
    signal: SignalGenerated
    account: str
    state: AccountState
    positions: Sequence[HeldPosition]
    claims: Sequence[Claim]
    exposure: core.Exposure
    limits: core.RiskLimits
    facts: MarketFacts
    quote: core_market.Quote | None
    instrument: Instrument

    @property
    def reference_price(self) -> Decimal:
        """The mid, or the signal's own price where no quote is known."""
        quote = self.quote
        return quote.mid if quote is not None and quote.is_plausible else self.signal.reference_price

    @property
    def inputs(self) -> Mapping[str, str]:
        """The figures behind the decision, for the record."""
        exposure, facts, quote = self.exposure, self.facts, self.quote
        return {
            "equity": plain(exposure.equity),
            "day_start_equity": plain(exposure.day_start_equity),
            "peak_24h_equity": plain(exposure.peak_24h_equity),
            "quote_free": plain(exposure.free_quote),
            "exposure_notional": plain(exposure.notional),
            "symbols_taken": ",".join(sorted(exposure.symbols)),
            "orders_last_minute": str(exposure.orders_last_minute),
            "bid": plain(quote.bid) if quote is not None else "",
            "ask": plain(quote.ask) if quote is not None else "",
            "data_age_ms": str(facts.data_age_ms),
            "volatility_rate": str(facts.volatility_rate),
            "reachable": str(facts.reachable),
            "calm": str(facts.calm),
            "quality": str(self.signal.quality_score),
            "sizing": self.limits.sizing.describe(self.limits.position_size_pct),
        }


def decide(setting: Setting) -> core.Approved | Refusal:
    """Return what the rules make of a signal, before the reservation."""
    signal = setting.signal
    if signal.role is Role.EXIT and any(
        claim.symbol == signal.symbol and claim.side is Side.SELL for claim in setting.claims
    ):
        return Refusal(ServiceRefusal.EXIT_IS_UNDER_WAY, f"one exit of {signal.symbol} at a time", "another")
    decision = core.assess(
        _proposal(setting),
        setting.exposure,
        _market(setting),
        setting.limits,
        core.TradingState(setting.state.state_of(symbol=signal.symbol, strategy=signal.strategy)),
        setting.now,
    )
    return Refusal.of(decision) if isinstance(decision, core.Refused) else decision


def approval(
    decision: core.Approved,
    setting: Setting,
    *,
    lifetime: timedelta,
    risk_epoch: int,
    configuration_version: int,
) -> OrderApproved:
    """Return the leave to send the decided order; it expires on the exchange's time."""
    signal = setting.signal
    exchange_now = setting.now + timedelta(milliseconds=setting.facts.clock_skew_ms)
    return OrderApproved(
        occurred_at=setting.now,
        intent_id=intent_id_of(setting.account, signal.signal_id, signal.role),
        signal_id=signal.signal_id,
        strategy=signal.strategy,
        account=setting.account,
        symbol=signal.symbol,
        side=signal.side,
        role=signal.role,
        quantity=decision.quantity,
        limit_price=decision.limit_price,
        reference_price=setting.reference_price,
        stop_loss=_on_tick(signal.stop_loss, setting.instrument),
        take_profit=_on_tick(signal.take_profit, setting.instrument),
        trailing_distance=signal.trailing_distance,
        expires_at=exchange_now + (LIQUIDATION_LIFETIME if signal.role is Role.LIQUIDATION else lifetime),
        halt_epoch=setting.state.halt_epoch,
        risk_epoch=risk_epoch,
        configuration_version=configuration_version,
    )


def claim_of(decision: core.Approved, setting: Setting) -> Claim:
    """Return what the decided order claims of the limits: its worst case, or nothing if it closes."""
    signal = setting.signal
    held = next((each for each in setting.positions if each.symbol == signal.symbol), None)
    return Claim(
        account=setting.account,
        intent_id=intent_id_of(setting.account, signal.signal_id, signal.role),
        signal_id=signal.signal_id,
        strategy=signal.strategy,
        symbol=signal.symbol,
        side=signal.side,
        role=signal.role,
        phase=Phase.RESERVED,
        notional=decision.notional if signal.role is Role.ENTRY else Decimal(0),
        quantity=decision.quantity,
        round_trips=held.round_trips if held is not None else 0,
        bought_before=bought_before(held, [each for each in setting.claims if each.symbol == signal.symbol]),
        approved_at=setting.now,
        updated_at=setting.now,
    )


def refusal_of(signal: SignalGenerated, account: str, refusal: Refusal, *, now: datetime) -> OrderRefused:
    """Return the event that refuses a signal for an account."""
    return OrderRefused(
        occurred_at=now,
        signal_id=signal.signal_id,
        strategy=signal.strategy,
        account=account,
        symbol=signal.symbol,
        side=signal.side,
        role=signal.role,
        reason=refusal.reason,
        limit=refusal.limit[:TEXT_CHARACTERS_MAX],
        observed=refusal.observed[:TEXT_CHARACTERS_MAX],
    )


def sale_of(
    position: HeldPosition, halt: HaltRecord, mark: StoredMark | None, *, now: datetime, attempt: str = ""
) -> SignalGenerated:
    """Return the order from above to sell a whole position because of a halt; a named attempt is one of its own."""
    bid = mark.bids.get(position.symbol) if mark is not None else None
    return SignalGenerated(
        occurred_at=now,
        signal_id=f"liquidation|{attempt}|{halt.halt_id}|{position.symbol}".replace("||", "|")[:120],
        strategy=position.strategy or "liquidation",
        symbol=position.symbol,
        side=Side.SELL,
        role=Role.LIQUIDATION,
        account=position.account,
        reference_price=bid or (position.cost / position.quantity).quantize(_PRICE_DIGITS),
        reasons=(f"{halt.trigger}: {halt.reason}"[:TEXT_CHARACTERS_MAX],),
    )


def _proposal(setting: Setting) -> core.Proposal:
    signal, instrument = setting.signal, setting.instrument
    return core.Proposal(
        account=setting.account,
        symbol=signal.symbol,
        side=core_market.Side(signal.side),
        role=core.Role(signal.role),
        price=_tick(signal.reference_price, instrument),
        proposed_at=signal.occurred_at,
        quality=signal.quality_score or 0,
        stop_loss=_on_tick(signal.stop_loss, instrument),
        take_profit=_on_tick(signal.take_profit, instrument),
        trailing_distance=signal.trailing_distance,
    )


def _market(setting: Setting) -> core.MarketView:
    facts = setting.facts
    return core.MarketView(
        instrument=setting.instrument,
        quote=setting.quote or core.NO_QUOTE,
        quote_age_ms=facts.data_age_ms,
        reachable=facts.reachable,
        calm=facts.calm,
        volatility_rate=facts.volatility_rate,
        trading=facts.trading,
    )


def quote_of(signal: SignalGenerated) -> core_market.Quote | None:
    """Return the quote that a signal was decided at, where it says so."""
    if signal.bid is None or signal.ask is None:
        return None
    return core_market.Quote(
        symbol=signal.symbol,
        bid=signal.bid,
        ask=signal.ask,
        bid_quantity=Decimal(0),
        ask_quantity=Decimal(0),
        at_ms=epoch_ms(signal.occurred_at),
    )


def newest(*quotes: core_market.Quote | None) -> core_market.Quote | None:
    """Return the youngest quote; None of none."""
    return max((quote for quote in quotes if quote is not None), key=lambda quote: quote.at_ms, default=None)


def _on_tick(price: Decimal | None, instrument: Instrument) -> Decimal | None:
    return None if price is None else _tick(price, instrument)


def _tick(price: Decimal, instrument: Instrument) -> Decimal:
    """Round to the tick; an exchange that has none switched the filter off."""
    return round_to_tick(price, instrument.price_tick) if instrument.price_tick > 0 else price
