"""The policy: which rules hold for what, in which order.

Invariant: an approval is only made here, after every rule has let the case pass; the first that does not is the answer.
"""

from collections.abc import Callable
from datetime import datetime

from libs.trading.risk.case import Approved, Case, Draft, Exposure, MarketView, Proposal, Refused
from libs.trading.risk.conditions import (
    check_api_connectivity,
    check_daily_loss_limit,
    check_market_volatility,
    check_position_limits,
    entry_is_not_a_duplicate,
    equity_is_fresh,
    exchange_is_reachable,
    exit_has_a_position,
    exit_limits_are_set,
    limits_are_set,
    no_position_is_open,
    order_rate_is_within_limit,
    quality_is_sufficient,
    side_fits_role,
    signal_is_fresh,
    symbol_is_trading,
    trading_is_active,
)
from libs.trading.risk.drafting import draft_entry, draft_exit
from libs.trading.risk.limits import RiskLimits
from libs.trading.risk.order_rules import (
    check_account_balance,
    exchange_filters_pass,
    exposure_is_within_limit,
    order_notional_is_within_limit,
    protection_is_possible,
)
from libs.trading.risk.prices import (
    price_is_between_exits,
    price_is_within_collar,
    quote_is_plausible,
    spread_is_acceptable,
)
from libs.trading.risk.states import Role, TradingState

Rule = Callable[[Case], Refused | None]
OrderRule = Callable[[Case, Draft], Refused | None]

# What must hold before an entry is drafted.
RULES: tuple[Rule, ...] = (
    trading_is_active,
    limits_are_set,
    side_fits_role,
    signal_is_fresh,
    quality_is_sufficient,
    symbol_is_trading,
    check_api_connectivity,
    quote_is_plausible,
    check_market_volatility,
    equity_is_fresh,
    check_daily_loss_limit,
    no_position_is_open,
    check_position_limits,
    entry_is_not_a_duplicate,
    order_rate_is_within_limit,
    spread_is_acceptable,
    price_is_within_collar,
    price_is_between_exits,
)

# What must hold for the drafted entry.
ORDER_RULES: tuple[OrderRule, ...] = (
    order_notional_is_within_limit,
    exposure_is_within_limit,
    check_account_balance,
    exchange_filters_pass,
    protection_is_possible,
)

# Closing reduces risk, so nothing that limits risk stands in its way; only what would make it wrong or impossible does.
EXIT_RULES: tuple[Rule, ...] = (
    trading_is_active,
    exit_limits_are_set,
    side_fits_role,
    signal_is_fresh,
    symbol_is_trading,
    exchange_is_reachable,
    exit_has_a_position,
)

# An order from above: what we believe of the exchange must not stop it from being tried.
LIQUIDATION_RULES: tuple[Rule, ...] = (
    trading_is_active,
    side_fits_role,
    exit_has_a_position,
)


def assess(  # noqa: PLR0917 - six kinds of facts, six types: a mix-up does not type-check
    proposal: Proposal,
    exposure: Exposure,
    market: MarketView,
    limits: RiskLimits,
    state: TradingState,
    now: datetime,
) -> Approved | Refused:
    """Answer a proposal: the order that may be sent for it, or the first rule that does not hold.

    Args:
        proposal: An entry, an exit or a liquidation.
        exposure: Of the proposal's account, everything under way included.
        market: Of the proposal's symbol.
        limits: Of the proposal's account.
        state: The strictest that holds for account, symbol and strategy.
        now: The moment of the judgement, aware.

    Raises:
        ValueError: The role is none that is proposed (protection and cancels have the authority of their entry), or
            the instrument is of another symbol.
    """
    if proposal.symbol != market.instrument.symbol:
        raise ValueError(f"expected the market of {proposal.symbol}, found {market.instrument.symbol}")
    case = Case(proposal, exposure, market, limits, state, now)
    match proposal.role:
        case Role.ENTRY:
            return _judge(case, RULES, draft_entry, ORDER_RULES)
        case Role.EXIT:
            return _judge(case, EXIT_RULES, draft_exit, (exchange_filters_pass,))
        case Role.LIQUIDATION:
            return _judge(case, LIQUIDATION_RULES, draft_exit, (exchange_filters_pass,))
        case _:
            raise ValueError(f"expected the role of an entry, an exit or a liquidation, found {proposal.role}")


def _judge(
    case: Case,
    rules: tuple[Rule, ...],
    draft: Callable[[Case], Draft | Refused],
    order_rules: tuple[OrderRule, ...],
) -> Approved | Refused:
    for rule in rules:
        if (refused := rule(case)) is not None:
            return refused
    order = draft(case)
    if isinstance(order, Refused):
        return order
    for order_rule in order_rules:
        if (refused := order_rule(case, order)) is not None:
            return refused
    return Approved(order.quantity, order.limit_price, order.notional)
