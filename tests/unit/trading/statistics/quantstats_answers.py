# /// script
# requires-python = ">=3.11"
# dependencies = ["quantstats==0.0.86", "pandas==3.1.1"]
# ///
"""Record what quantstats answers: `uv run --script tests/unit/trading/statistics/quantstats_answers.py`.

quantstats brings plotting libraries and a downloader of quotes, which a test run should not need: it is asked here, in
an environment of its own, and its answers are kept beside the questions in `quantstats_answers.json`.
"""

import json
import random
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import quantstats

PERIODS = (252, 365)
QUESTIONS = {
    "quiet": (1, 0.0003, 0.004, 400),
    "losing": (2, -0.002, 0.02, 250),
    "winning": (3, 0.004, 0.015, 250),
    "wild": (4, 0.001, 0.09, 120),
    "short": (5, 0.002, 0.02, 12),
}


def returns_of(seed: int, drift: float, deviation: float, count: int) -> list[float]:
    """Return daily returns; a tenth of the days are without any."""
    drawn = random.Random(seed)
    return [0.0 if drawn.random() < 0.1 else max(drawn.gauss(drift, deviation), -0.9) for _ in range(count)]


def answers_to(returns: list[float]) -> dict[str, Any]:
    """Return what quantstats says about daily returns."""
    days = pd.Series(returns, index=pd.date_range("2024-01-01", periods=len(returns), freq="D"))
    moved = days[days != 0.0]
    stats = quantstats.stats
    falls = stats.drawdown_details(stats.to_drawdown_series(days))
    places = {day: place for place, day in enumerate(days.index, start=1)}  # place 0 is the opening balance
    return {
        "returns": returns,
        "comp": stats.comp(days),
        "max_drawdown": stats.max_drawdown(days),
        "drawdowns": [
            [places[pd.Timestamp(fall.start)], places[pd.Timestamp(fall.valley)], int(fall.days)]
            for fall in falls.itertuples()
        ],
        "by_periods": {
            str(periods): {
                "cagr": stats.cagr(days, periods=periods),
                "volatility": stats.volatility(days, periods=periods),
                "sharpe": stats.sharpe(days, periods=periods),
                "sortino": stats.sortino(days, periods=periods),
                "calmar": stats.calmar(days, periods=periods),
            }
            for periods in PERIODS
        },
        "trades": {
            "win_rate": stats.win_rate(moved),
            "avg_win": stats.avg_win(moved),
            "avg_loss": stats.avg_loss(moved),
            "payoff_ratio": stats.payoff_ratio(moved),
            "profit_factor": stats.profit_factor(moved),
            "avg_return": stats.avg_return(moved),
        },
    }


def main() -> None:
    """Write the answers beside this file."""
    answers = {
        "quantstats": version("quantstats"),
        "pandas": version("pandas"),
        "cases": {name: answers_to(returns_of(*question)) for name, question in QUESTIONS.items()},
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
