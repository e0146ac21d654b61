"""The rules about the world: what must hold before anything is ordered.

Invariant: a rule is a pure function of its case, named for the condition that must hold, and answers with the refusal
where it does not. What cannot be known does not hold.
"""

from datetime import datetime, timedelta

from libs.trading.market import Side
from libs.trading.money import is_positive, plain
from libs.trading.risk.case import Case, Refused
from libs.trading.risk.daily_loss import DailyLossLevel, daily_loss
from libs.trading.risk.limits import LIMIT_NAMES
from libs.trading.risk.missing import missing_limit
from libs.trading.risk.reasons import RefusalReason
from libs.trading.risk.states import Role, may_send

# A moment may lie this far in the future before the clocks, and with them every age, are not believed.
_CLOCK_TOLERANCE = timedelta(seconds=1)


def limits_are_set(case: Case) -> Refused | None:
    """Every limit is there, a number and above zero: a limit that nobody set is no permission."""
    return missing_limit(case.limits, *LIMIT_NAMES)


def exit_limits_are_set(case: Case) -> Refused | None:
    """The limits that exits need are set: fewer, because a slip in the configuration must not trap a position."""
    return missing_limit(case.limits, "signal_age_s_max")


def trading_is_active(case: Case) -> Refused | None:
    """The trading state lets this role pass."""
    if may_send(case.proposal.role, case.state):
        return None
    return Refused(RefusalReason.TRADING_IS_NOT_ACTIVE, f"a state that allows {case.proposal.role}", f"{case.state}")


def signal_is_fresh(case: Case) -> Refused | None:
    """The signal is young: one that waited in a backlog speaks of another market."""
    age = case.now - case.proposal.proposed_at
    if _is_fresh(age, case.limits.signal_age_s_max):
        return None
    return Refused(
        RefusalReason.SIGNAL_IS_STALE, f"{case.limits.signal_age_s_max} s old at most", f"{age.total_seconds():.3f} s"
    )


def side_fits_role(case: Case) -> Refused | None:
    """Entries buy and exits sell: spot has no shorts."""
    expected = Side.BUY if case.proposal.role is Role.ENTRY else Side.SELL
    if case.proposal.side is expected:
        return None
    return Refused(
        RefusalReason.SIDE_DOES_NOT_FIT_ROLE, f"{expected} for {case.proposal.role}", f"{case.proposal.side}"
    )


def symbol_is_trading(case: Case) -> Refused | None:
    """The exchange trades the symbol, and nothing halts it here."""
    if case.market.trading and case.market.instrument.trading:
        return None
    return Refused(RefusalReason.SYMBOL_IS_NOT_TRADING, "TRADING", f"{case.proposal.symbol} is not")


def exchange_is_reachable(case: Case) -> Refused | None:
    """The exchange answers."""
    if case.market.reachable:
        return None
    return Refused(RefusalReason.EXCHANGE_IS_UNREACHABLE, "an exchange that answers", "no answer")


def check_api_connectivity(case: Case) -> Refused | None:
    """The exchange answers, and its market data is young."""
    if (unreachable := exchange_is_reachable(case)) is not None:
        return unreachable
    age_ms = case.market.quote_age_ms
    if age_ms is not None and _is_fresh(timedelta(milliseconds=age_ms), case.limits.data_age_ms_max / 1000):
        return None
    observed = "no quote" if age_ms is None else f"{age_ms} ms"
    return Refused(RefusalReason.MARKET_DATA_IS_STALE, f"{case.limits.data_age_ms_max} ms old at most", observed)


def check_market_volatility(case: Case) -> Refused | None:
    """No anomaly stands, and the volatility is known and within its limit."""
    volatility_rate = case.market.volatility_rate
    is_known_and_low = (
        volatility_rate is not None
        and volatility_rate.is_finite()
        and volatility_rate <= case.limits.volatility_rate_max
    )
    if case.market.calm and is_known_and_low:
        return None
    observed = f"{volatility_rate}" if case.market.calm else f"{volatility_rate}, with an anomaly standing"
    return Refused(
        RefusalReason.MARKET_IS_VOLATILE, f"calm, at most {plain(case.limits.volatility_rate_max)}", observed
    )


def equity_is_fresh(case: Case) -> Refused | None:
    """The equity and its baselines are known, and the equity is young."""
    exposure, limits = case.exposure, case.limits
    limit = f"known, {limits.equity_age_s_max} s old at most"
    if exposure.equity_at is None or not all(
        map(is_positive, (exposure.equity, exposure.day_start_equity, exposure.peak_24h_equity))
    ):
        return Refused(RefusalReason.EQUITY_IS_STALE, limit, "unknown")
    age = case.now - exposure.equity_at
    if _is_fresh(age, limits.equity_age_s_max):
        return None
    return Refused(RefusalReason.EQUITY_IS_STALE, limit, f"{age.total_seconds():.3f} s")


def check_daily_loss_limit(case: Case) -> Refused | None:
    """The day's loss is below its limit; at exactly the limit it is not."""
    exposure = case.exposure
    today = daily_loss(
        exposure.equity, exposure.day_start_equity, exposure.peak_24h_equity, case.limits.daily_loss_limit_pct
    )
    if today.level is not DailyLossLevel.EXCEEDED:
        return None
    return Refused(RefusalReason.DAILY_LOSS_LIMIT_IS_REACHED, f"a loss below {plain(today.limit)}", plain(today.loss))


def no_position_is_open(case: Case) -> Refused | None:
    """The symbol has no position, no working entry, no reservation and no entry of unknown outcome."""
    symbol = case.proposal.symbol
    if symbol not in case.exposure.symbols:
        return None
    return Refused(RefusalReason.POSITION_IS_OPEN, "one position per account and symbol", f"{symbol} is taken")


def check_position_limits(case: Case) -> Refused | None:
    """One more position is allowed, counting those that may still come of orders under way."""
    taken = len(case.exposure.symbols)
    if taken < case.limits.positions_max:
        return None
    return Refused(RefusalReason.POSITION_LIMIT_IS_REACHED, f"fewer than {case.limits.positions_max}", f"{taken}")


def entry_is_not_a_duplicate(case: Case) -> Refused | None:
    """The last entry of this symbol lies long enough back."""
    last_at = case.exposure.last_entries.get(case.proposal.symbol)
    if last_at is None or case.now - last_at >= timedelta(seconds=case.limits.duplicate_window_s):
        return None
    return Refused(
        RefusalReason.ENTRY_IS_A_DUPLICATE,
        f"{case.limits.duplicate_window_s} s since the last entry",
        f"{_seconds_between(last_at, case.now)} s",
    )


def order_rate_is_within_limit(case: Case) -> Refused | None:
    """One more order this minute is allowed."""
    if case.exposure.orders_last_minute < case.limits.orders_per_minute_max:
        return None
    return Refused(
        RefusalReason.ORDER_RATE_LIMIT_IS_REACHED,
        f"fewer than {case.limits.orders_per_minute_max} in a minute",
        f"{case.exposure.orders_last_minute}",
    )


def quality_is_sufficient(case: Case) -> Refused | None:
    """The signal's quality reaches its threshold."""
    if case.proposal.quality >= case.limits.quality_min:
        return None
    return Refused(RefusalReason.QUALITY_IS_LOW, f"at least {case.limits.quality_min}", f"{case.proposal.quality}")


def exit_has_a_position(case: Case) -> Refused | None:
    """There is a position to close: what the ledger does not own is never sold."""
    if is_positive(case.exposure.positions.get(case.proposal.symbol)):
        return None
    return Refused(RefusalReason.NO_POSITION_IS_OPEN, f"a position in {case.proposal.symbol}", "none")


def _is_fresh(age: timedelta, age_s_max: float) -> bool:
    return -_CLOCK_TOLERANCE <= age <= timedelta(seconds=age_s_max)


def _seconds_between(earlier: datetime, later: datetime) -> str:
    return f"{(later - earlier).total_seconds():.3f}"
