"""The table of provocations names exactly the alerts, each once, and hours are shortened in no rule that has none."""

from collections import Counter

from deploy.monitoring.rules import ALERT, RECORDED
from tests.alerts.configured import shortened
from tests.alerts.provocation import BEYOND_S_MAX, Provocation, Told, as_table
from tests.alerts.table import ACTS, PROVOCATIONS


def test_each_alert_is_provoked_by_one_act():
    named = Counter(alert for act in ACTS for alert in act.provokes)

    assert named.keys() == ALERT.keys()
    assert set(named.values()) == {1}


def test_only_what_looks_back_for_hours_is_shortened():
    expressions = {name: alert.expression for name, alert in ALERT.items()} | RECORDED

    changed = {name: shortened(text) for name, text in expressions.items() if shortened(text) != text}

    assert changed == {
        "MemoryGrowing": (
            '(deriv(process_resident_memory_bytes{job!~"prometheus|alertmanager"}[60s]) * 10 > 5e+06) '
            "and on (job, instance) time() - process_start_time_seconds > 70"
        ),
        "DiskFullSoon": (
            '(predict_linear(trader_disk_free_bytes{job="watchdog"}[60s], 720) < 0) '
            "and on (job, instance) time() - process_start_time_seconds > 60"
        ),
    }


def test_a_message_is_in_time_five_seconds_beyond_its_threshold_its_rule_and_its_route():
    stale = Provocation("the exchange is frozen", reached_s=5)
    skewed = Provocation("the clock is off")

    assert stale.stated_s("MarketDataStale") == 5 + 0 + 1
    assert skewed.stated_s("ClockSkewed") == 0 + 30 + 30
    last = Told(alert="MarketDataStale", provocation=stale, measured_s=6 + BEYOND_S_MAX)
    late = Told(alert="MarketDataStale", provocation=stale, measured_s=6.1 + BEYOND_S_MAX)
    never = Told(alert="MarketDataStale", provocation=stale, measured_s=None)
    assert [row.is_in_time for row in (last, late, never)] == [True, False, False]
    assert "LATE" in as_table([late])
    assert "never" in as_table([never])


def test_every_provocation_says_what_is_done():
    assert all(len(provocation.fault) > 10 for provocation in PROVOCATIONS.values())
