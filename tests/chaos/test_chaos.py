"""Thirty kills under trading load, and not a coin or an order astray."""

import pytest

from tests.chaos.starting import run_and_keep_what_failed

SEED = 20
KILLS = 30


@pytest.mark.timeout(1_200)
async def test_thirty_kills_under_load_leave_the_books_right():
    report = await run_and_keep_what_failed(SEED, KILLS)

    assert report.failures == [], f"again: make chaos KILLS={KILLS} SEED={SEED}\n{report.as_text()}"
    assert report.counted >= KILLS
