"""Every alert is provoked once: a real fault, and the message arrives at the user's channel within its stated delay.

`make alerts`; `make alerts ACTS="locks machine"` performs some acts alone. Four packages of Debian must be installed:
prometheus, prometheus-alertmanager, prometheus-redis-exporter and prometheus-postgres-exporter.
"""

import os
import shutil
import sys

import pytest

from tests.alerts.programs import missing_programs
from tests.alerts.provocation import as_table
from tests.alerts.table import ACTS
from tests.alerts.watching import open_scene
from tests.chaos.starting import new_directory

SEED = 7
WANTED = os.environ.get("ACTS", "").split()

pytestmark = [
    pytest.mark.timeout(3_000),
    pytest.mark.skipif(bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())}"),
]


async def test_every_alert_reaches_the_user_within_its_stated_delay():
    acts = [act for act in ACTS if not WANTED or act.name in WANTED]
    assert acts
    root, problems = new_directory(), ["not to the end"]
    try:
        async with open_scene(root, seed=SEED) as scene:
            problems = []
            for act in acts:
                found = await scene.perform(act)
                told = as_table(scene.rows[-len(act.provokes) :])
                sys.stderr.write("\n".join((act.name, told, *found, "")))
                problems += found
            rows = scene.rows
        problems += [f"{row.alert}: not told in time" for row in rows if not row.is_in_time]
    finally:
        if problems:
            sys.stderr.write(f"Logs: {root}\n")
        else:
            shutil.rmtree(root, ignore_errors=True)

    assert problems == [], as_table(rows)
