"""Alerts about orders, positions and the leave to trade."""

from typing import Final

from deploy.monitoring import limits
from deploy.monitoring.alert import Alert, Severity, grown

# Before the first mark it is as old as the process; a gauge that was never set is 0.
_MARKED: Final = "trader_equity_marked_timestamp_seconds"
_STARTED: Final = 'process_start_time_seconds{job="position_manager"}'
_OF_ITS: Final = "on (job, instance) group_left ()"
_SENT: Final = "sum by (job) (increase(trader_orders_sent_total[5m]))"
_ONE_IN_DOUBT: Final = 'kind=~"FOREIGN_ORDER|UNRECORDED_ORDER"'

MONEY: Final = (
    Alert(
        name="OrderUnknown",
        severity=Severity.PAGE,
        measure="trader_orders_unresolved_oldest_seconds",
        operator=">",
        threshold=limits.UNKNOWN_S,
        summary="Nobody knows whether the exchange has an order",
        description=(
            "An order's answer proved nothing, and looking for it has not settled it. It counts as filled and its "
            "symbol takes no entries. See whether the exchange answers; never place the order again by hand."
        ),
    ),
    Alert(
        name="LateFill",
        severity=Severity.PAGE,
        measure='trader_differences{kind="LATE_FILL"}',
        operator=">",
        threshold=0,
        summary="An order that had been given up was executed ({{ $labels.account }})",
        description=(
            "It was adopted and protected, and its symbol is halted. Look at it, accept the difference, resume."
        ),
    ),
    Alert(
        name="ForeignOrder",
        severity=Severity.PAGE,
        measure=f"trader_differences{{{_ONE_IN_DOUBT}}}",
        operator=">",
        threshold=0,
        summary="Somebody else trades the account under our names ({{ $labels.account }})",
        description=(
            "An order bears this system's marks and is not in its books. Stop the other installation, cancel its "
            "orders, then accept the difference."
        ),
    ),
    Alert(
        name="BooksDiffer",
        severity=Severity.PAGE,
        measure='trader_differences{kind!~"LATE_FILL|FOREIGN_ORDER|UNRECORDED_ORDER"}',
        operator=">",
        threshold=0,
        summary="The books and the exchange differ ({{ $labels.account }}, {{ $labels.kind }})",
        description=(
            "Balances or orders are not what the books say; what it concerns is halted. `trader reconcile show` has "
            "the figures. Find out why before you accept."
        ),
    ),
    Alert(
        name="ReconciliationStale",
        severity=Severity.PAGE,
        measure="time() - max by (account) (trader_reconciled_timestamp_seconds)",
        operator=">",
        threshold=limits.RECONCILIATION_S,
        summary="The books have not been compared with the exchange for a minute ({{ $labels.account }})",
        description=(
            "A trade by hand or a lost order would go unnoticed. The exchange does not answer, its request budget is "
            "used up, or the executor hangs: its log says which."
        ),
    ),
    Alert(
        name="DailyLossWarning",
        severity=Severity.TICKET,
        measure="max by (account) (trader_daily_loss_ratio)",
        operator=">=",
        threshold=limits.DAILY_LOSS_WARNING,
        summary="The day's loss is near its limit ({{ $labels.account }})",
        description="At the limit trading halts by itself. Decide whether to stop entering before that.",
    ),
    Alert(
        name="DailyLossExceeded",
        severity=Severity.PAGE,
        measure="max by (account) (trader_daily_loss_ratio)",
        operator=">=",
        threshold=limits.DAILY_LOSS,
        summary="The day's loss has reached its limit: trading halts ({{ $labels.account }})",
        description="Positions keep their protection. Nothing resumes by itself; find out what lost the money first.",
    ),
    Alert(
        name="EquityStale",
        severity=Severity.PAGE,
        measure=f"time() - max by (account) ({_MARKED} > {_OF_ITS} {_STARTED} or {_MARKED} * 0 + {_OF_ITS} {_STARTED})",
        operator=">",
        threshold=limits.EQUITY_AGE_S,
        summary="Nobody knows what the account is worth ({{ $labels.account }})",
        description=(
            "The position manager does not mark it, so the daily loss is not watched and the account is REDUCING. "
            "Look for missing quotes and at the position manager's log."
        ),
    ),
    Alert(
        name="ExposureHigh",
        severity=Severity.TICKET,
        measure="account:trader_exposure:ratio",
        operator=">",
        threshold=limits.EXPOSURE,
        during=30,
        summary="Positions are near the limit of what may be held ({{ $labels.account }})",
        description="Further entries will be refused. That is no fault unless the limit was meant to leave room.",
    ),
    Alert(
        name="TradingHalted",
        severity=Severity.PAGE,
        measure='max by (account) (trader_trading_state{state="HALTED"})',
        operator=">",
        threshold=0,
        summary="Trading is halted ({{ $labels.account }})",
        description="`trader status` names each halt and its reason. Protection stays; only a person resumes.",
    ),
    Alert(
        name="TradingResumed",
        severity=Severity.PAGE,
        measure='max by (account) (changes(trader_trading_state{state="HALTED"}[2m]))',
        operator=">",
        threshold=0,
        where='and on (account) max by (account) (trader_trading_state{state="HALTED"}) == 0',
        summary="A halt was ended ({{ $labels.account }})",
        description="Somebody resumed within the last two minutes. If it was nobody you know, halt and revoke the key.",
    ),
    Alert(
        name="PermitLost",
        severity=Severity.PAGE,
        measure="max by (account) (trader_permit_age_seconds)",
        operator=">",
        threshold=limits.PERMIT_AGE_S,
        # The last that was known of the state: whoever shows it grants the permits, and may be what is gone.
        where='and on (account) max by (account) (last_over_time(trader_trading_state{state="ACTIVE"}[5m])) == 1',
        summary="No entries although trading is ACTIVE: there is no permit ({{ $labels.account }})",
        description=(
            "The risk manager does not renew it, or Redis is away. Look at both; nothing has to be resumed after."
        ),
    ),
    Alert(
        name="UserStreamDown",
        severity=Severity.PAGE,
        measure="max by (account) (trader_user_stream_connected)",
        operator="<",
        threshold=1,
        during=5,
        summary="The exchange does not tell of the account's orders ({{ $labels.account }})",
        description=(
            "Fills are then found by asking, seconds later. Look at the network, the key and the executor's log."
        ),
    ),
    Alert(
        name="OrdersRejected",
        severity=Severity.TICKET,
        measure=f'sum by (job) (increase(trader_orders_sent_total{{verdict="NOT_ACCEPTED"}}[5m])) / {_SENT}',
        operator=">",
        threshold=limits.REJECTED_RATIO,
        where=f"and on (job) {_SENT} >= {limits.REJECTED_ORDERS_MIN}",
        summary="The exchange refuses one order in five",
        description="The refusals stand in the executor's log. Mostly a symbol's rules have changed or money is short.",
        rare="no order was refused so far",
    ),
    Alert(
        name="ProtectionSlow",
        severity=Severity.TICKET,
        measure=(
            "increase(trader_unprotected_seconds_count[15m]) "
            f'- ignoring (le) increase(trader_unprotected_seconds_bucket{{le="{limits.UNPROTECTED_S}"}}[15m])'
        ),
        operator=">=",
        threshold=0.5,
        summary="A position was without protection for more than five seconds",
        description="It is protected now. See why its stop was refused or late: the exchange's answers are in the log.",
    ),
    Alert(
        name="HaltSlow",
        severity=Severity.TICKET,
        measure=(
            "increase(trader_halt_seconds_count[15m]) "
            f'- ignoring (le) increase(trader_halt_seconds_bucket{{le="{limits.HALT_S}"}}[15m])'
        ),
        operator=">=",
        threshold=0.5,
        summary="A halt took hold later than it must",
        description=(
            "Entries end with their permit in any case. Compare the clocks of the operator's machine and this one."
        ),
    ),
    Alert(
        name="ExchangeLimited",
        severity=Severity.TICKET,
        measure=grown('trader_exchange_limited_total{status!="418"}', "5m", "job", "status"),
        operator=">",
        threshold=0,
        summary="The exchange told us to ask less ({{ $labels.job }}, {{ $labels.status }})",
        description="Requests wait as long as it said. Find out what else uses this address; a ban comes next.",
        rare="the exchange never told us to wait so far",
    ),
    Alert(
        name="ExchangeBanned",
        severity=Severity.PAGE,
        measure=grown('trader_exchange_limited_total{status="418"}', "5m", "job"),
        operator=">",
        threshold=0,
        summary="The exchange has banned this address",
        description=(
            "Nothing can be sent or cancelled until the ban ends, and every request would prolong it. Stops at the "
            "exchange hold. Do not restart; act by the exchange's own app if you must."
        ),
        rare="the exchange never banned us so far",
    ),
)
