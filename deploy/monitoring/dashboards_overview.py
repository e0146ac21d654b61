"""The dashboard Overview: readable from across the room."""

from typing import Final

from deploy.monitoring.alerts_system import TRADING_JOBS
from deploy.monitoring.asking import ACCOUNT, OF_ACCOUNT, per_account
from deploy.monitoring.dashboard import Dashboard, Row
from deploy.monitoring.panels import Panel, Query

_ANSWERING: Final = f'count(max by (job) (trader_ready{{job=~"{"|".join(TRADING_JOBS)}"}}) == 1)'

TRADES: Final = """\
SELECT at AS "time", account, symbol, side, quantity, price, quantity * price AS quote, commission, commission_asset,
       role, strategy, client_order_id, trade_id
FROM reading.fills
WHERE $__timeFilter(at) AND account ~ '^(${account:pipe})$'
ORDER BY at DESC, trade_id DESC LIMIT 500"""

OVERVIEW: Final = Dashboard(
    uid="trader-overview",
    title="Overview",
    description="May it trade, what is it worth, and is anything wrong?",
    variables=ACCOUNT,
    span="24h",
    rows=(
        Row(
            title="Now",
            panels=(
                Panel(
                    title="State",
                    question="May it trade?",
                    kind="stat",
                    width=6,
                    height=6,
                    queries=(
                        Query(
                            '2 * max by (account) (trader_trading_state{state="ACTIVE", account=~"$account"}) '
                            '+ max by (account) (trader_trading_state{state="REDUCING", account=~"$account"})',
                            "{{account}}",
                        ),
                    ),
                    words=((2, "ACTIVE", "green"), (1, "REDUCING", "orange"), (0, "HALTED", "red")),
                ),
                Panel(
                    title="Alerts that fire",
                    question="Is anything wrong?",
                    kind="stat",
                    width=6,
                    height=6,
                    queries=(
                        Query('count(ALERTS{alertstate="firing", severity=~"page|ticket"}) or vector(0)', "alerts"),
                    ),
                    red_from=1,
                ),
                Panel(
                    title="Equity",
                    question="What is it worth, in the quote currency?",
                    kind="stat",
                    width=6,
                    height=6,
                    decimals=2,
                    queries=(Query(per_account("trader_equity_quote"), "{{account}}"),),
                ),
                Panel(
                    title="PnL today",
                    question="What did it earn or lose since 00:00 UTC, in the quote currency?",
                    kind="stat",
                    width=6,
                    height=6,
                    decimals=2,
                    queries=(Query(per_account("trader_pnl_today_quote"), "{{account}}"),),
                ),
                Panel(
                    title="Daily loss against its limit",
                    question="How much of the loss that may be made in a day is used up?",
                    kind="stat",
                    unit="percentunit",
                    width=6,
                    height=6,
                    queries=(Query(per_account("trader_daily_loss_ratio"), "{{account}}"),),
                    alerts=("DailyLossWarning", "DailyLossExceeded"),
                ),
                Panel(
                    title="Positions",
                    question="How many positions are open?",
                    kind="stat",
                    width=6,
                    height=6,
                    queries=(Query(per_account("trader_positions_open"), "{{account}}"),),
                ),
                Panel(
                    title="Open orders",
                    question="How many orders rest at the exchange, or may be there?",
                    kind="stat",
                    width=6,
                    height=6,
                    queries=(Query(f"sum by (account) (trader_orders_open{OF_ACCOUNT})", "{{account}}"),),
                ),
                Panel(
                    title="Services that answer",
                    question="Does every process run and do its work?",
                    kind="stat",
                    width=6,
                    height=6,
                    queries=(
                        Query(f"{_ANSWERING} or vector(0)", "ready"),
                        Query(f"{len(TRADING_JOBS)} - {_ANSWERING} or vector({len(TRADING_JOBS)})", "missing"),
                    ),
                ),
            ),
        ),
        Row(
            title="Over time",
            panels=(
                Panel(
                    title="Equity over time",
                    question="How did its worth move?",
                    width=12,
                    decimals=2,
                    queries=(Query(per_account("trader_equity_quote"), "{{account}}"),),
                ),
                Panel(
                    title="PnL of the day and where it halts",
                    question="How far is the day's result from the loss at which it halts?",
                    width=12,
                    decimals=2,
                    queries=(
                        Query(per_account("trader_pnl_today_quote"), "PnL {{account}}"),
                        Query(f"-{per_account('trader_daily_loss_limit_quote')}", "halts {{account}}"),
                    ),
                ),
                Panel(
                    title="Exposure against its limit",
                    question="How much of what may be held is held?",
                    width=12,
                    unit="percentunit",
                    queries=(Query(f"account:trader_exposure:ratio{OF_ACCOUNT}", "{{account}}"),),
                    alerts=("ExposureHigh",),
                ),
                Panel(
                    title="Answers to signals",
                    question="What became of the strategies' signals, and why were they refused?",
                    width=12,
                    queries=(
                        Query(
                            "sum by (outcome, reason) (increase(trader_risk_decisions_total[5m]))",
                            "{{outcome}} {{reason}}",
                            rare="no signal was judged for a while",
                        ),
                    ),
                    stacked=True,
                ),
            ),
        ),
        Row(
            title="Trades",
            panels=(
                Panel(
                    title="Trades of the time that is shown",
                    question="Which trades were made, at what price, and by which order (`trader audit explain`)?",
                    kind="table",
                    width=24,
                    height=10,
                    sql=TRADES,
                ),
            ),
        ),
    ),
)
