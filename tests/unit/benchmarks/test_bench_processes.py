"""What a process costs, from what the kernel says."""

import os

import pytest

from benchmarks.processes import Cost, costs, pss_bytes, shares_of_core

ROLLUP = """558b1f2c3000-7ffd3b1fe000 ---p 00000000 00:00 0                          [rollup]
Rss:              102400 kB
Pss:               51200 kB
Pss_Dirty:          1024 kB
"""


def test_the_proportional_memory_is_read_from_the_rollup():
    assert pss_bytes(ROLLUP) == 52_428_800  # 51 200 x 1 024


def test_a_rollup_without_it_is_an_error():
    with pytest.raises(ValueError, match="Pss"):
        pss_bytes("Rss: 1 kB\n")


def test_the_share_of_a_core_is_processor_time_over_time():
    before, after = {"kafka": Cost(0, 10.0)}, {"kafka": Cost(0, 13.0)}

    assert shares_of_core(before, after, seconds=30.0) == {"kafka": 10.0}  # 3 s / 30 s


def test_the_time_of_children_that_ended_is_never_negative():
    before, after = {"postgres": Cost(0, 10.0)}, {"postgres": Cost(0, 9.0)}

    assert shares_of_core(before, after, seconds=30.0) == {"postgres": 0.0}


def test_a_process_that_was_restarted_in_between_is_left_out():
    assert shares_of_core({}, {"kafka": Cost(0, 1.0)}, seconds=30.0) == {}


def test_this_process_has_memory_and_has_used_the_processor():
    found = costs({"self": os.getpid()})["self"]

    assert found.pss_bytes > 1_000_000
    assert found.cpu_s > 0
