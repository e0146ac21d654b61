"""One alert's trial, and how promtool reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

INTERVAL: Final = "5s"
HOURS: Final = "5m"
"""For what shows after hours: promtool evaluates every rule at every step."""
STEP: Final = {INTERVAL: "10s", HOURS: HOURS}
"""How often promtool evaluates, by the distance of the values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What must make an alert fire, and what must not.

    Attributes:
        fires: Values by series with which it fires at `at`.
        silent: Values by series with which it does not; None: it always fires.
        fires_too: Other values with each of which it fires.
        interval: From one value to the next.
    """

    fires: Mapping[str, str]
    silent: Mapping[str, str] | None
    fires_too: tuple[Mapping[str, str], ...] = ()
    at: str = "2m"
    interval: str = INTERVAL

    def tests(self, alert: str) -> list[dict[str, Any]]:
        """Return both tests as promtool reads them."""
        firing = [{"labels": "{}", "value": 1}]
        tests = [self._test(f"{alert} fires", alert, series, firing) for series in (self.fires, *self.fires_too)]
        if self.silent is not None:
            tests.append(self._test(f"{alert} is silent", alert, self.silent, []))
        return tests

    def _test(self, name: str, alert: str, series: Mapping[str, str], expected: list[Any]) -> dict[str, Any]:
        expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0'
        return {
            "name": name,
            "interval": self.interval,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": expression, "eval_time": self.at, "exp_samples": expected}],
        }
