"""The dashboard Money path: orders, books, leave to trade."""

from typing import Final

from deploy.monitoring.asking import ACCOUNT, OF_ACCOUNT, YES_OR_NO, measure, per_account
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query
from deploy.monitoring.rules import ALERT, quantile

_NO_ORDER: Final = "no order was sent for a while"

MONEY_PATH: Final = Dashboard(
    uid="trader-money-path",
    title="Money path",
    description="What is open, in doubt or unprotected, may entries leave, and how fast does a halt hold?",
    variables=ACCOUNT,
    rows=(
        Row(
            title="Orders",
            panels=(
                Panel(
                    title="Orders by state",
                    question="What is open at the exchange, and what may be?",
                    queries=(
                        Query(f"sum by (account, state) (trader_orders_open{OF_ACCOUNT})", "{{account}} {{state}}"),
                    ),
                    stacked=True,
                ),
                Panel(
                    title="Age of the oldest unknown order",
                    question="For how long has nobody known whether an order is at the exchange?",
                    unit="s",
                    queries=(Query(measure("OrderUnknown"), "age"), Query("trader_orders_unresolved", "orders")),
                    alerts=("OrderUnknown",),
                ),
                Panel(
                    title="Orders by what their answer proved",
                    question="What does the exchange say to our orders?",
                    queries=(
                        Query(
                            "sum by (role, verdict) (increase(trader_orders_sent_total[5m]))",
                            "{{role}} {{verdict}}",
                            rare=_NO_ORDER,
                        ),
                    ),
                    stacked=True,
                ),
                Panel(
                    title="Orders withheld at the last hop",
                    question="Which orders were not sent at the last moment, and why?",
                    queries=(
                        Query(
                            "sum by (role, reason) (increase(trader_orders_withheld_total[5m]))",
                            "{{role}} {{reason}}",
                            rare="no order was withheld so far",
                        ),
                    ),
                ),
                Panel(
                    title="Share of refused orders",
                    question="Does the exchange refuse more than usual?",
                    unit="percentunit",
                    queries=(Query(measure("OrdersRejected"), "refused", rare=ALERT["OrdersRejected"].rare),),
                    alerts=("OrdersRejected",),
                ),
                Panel(
                    title="Fill to protection",
                    question="For how long are positions without their stop?",
                    unit="s",
                    queries=(
                        Query(
                            quantile(0.99, "trader_unprotected_seconds", "15m"),
                            "p99",
                            rare="no protection followed a fill for a while: entry lists leave no gap",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Books",
            panels=(
                Panel(
                    title="Differences from the exchange",
                    question="What do the books and the exchange not agree on?",
                    queries=(
                        Query(f"sum by (account, kind) (trader_differences{OF_ACCOUNT})", "{{account}} {{kind}}"),
                    ),
                    alerts=("BooksDiffer", "LateFill", "ForeignOrder"),
                ),
                Panel(
                    title="Since the last comparison",
                    question="When were the books last compared with the exchange?",
                    unit="s",
                    queries=(Query(measure("ReconciliationStale"), "{{account}}"),),
                    alerts=("ReconciliationStale",),
                ),
                Panel(
                    title="User stream",
                    question="Does the exchange tell of our orders as they change?",
                    kind="state-timeline",
                    queries=(Query(measure("UserStreamDown"), "{{account}}"),),
                    alerts=("UserStreamDown",),
                    words=YES_OR_NO,
                ),
            ),
        ),
        Row(
            title="Leave to trade",
            panels=(
                Panel(
                    title="Time without a permit",
                    question="May entries leave?",
                    unit="s",
                    queries=(Query(per_account("trader_permit_age_seconds"), "{{account}}"),),
                    alerts=("PermitLost",),
                ),
                Panel(
                    title="Permits by what became of them",
                    question="Does the risk manager renew the permits?",
                    queries=(Query("sum by (outcome) (rate(trader_permits_renewed_total[1m]))", "{{outcome}}"),),
                ),
                Panel(
                    title="Halt to its taking hold",
                    question="How fast does a halt hold, by the way that it came?",
                    unit="s",
                    queries=(
                        Query(
                            quantile(0.99, "trader_halt_seconds", "1h", "path"),
                            "p99 by {{path}}",
                            rare=ALERT["HaltSlow"].rare,
                        ),
                    ),
                ),
                Panel(
                    title="Trading state",
                    question="When might it trade, and when not?",
                    kind="state-timeline",
                    width=24,
                    height=5,
                    queries=(
                        Query(f"max by (account, state) (trader_trading_state{OF_ACCOUNT})", "{{account}} {{state}}"),
                    ),
                    words=((1, "yes", "blue"), (0, "no", "text")),
                ),
            ),
        ),
    ),
)
