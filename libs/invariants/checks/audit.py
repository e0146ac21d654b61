"""The audit log has everything that Kafka had when the look began (I7); `libs.common.audit` verifies the chains."""

from libs.invariants.findings import Tally
from libs.invariants.records import Look


def event_is_in_the_audit_log(look: Look, tally: Tally) -> None:
    """No chain ends before what its partition held then."""
    for (topic, partition), end in look.ends.items():
        if end == 0:
            continue
        recorded = look.books.recorded_offsets.get((topic, partition), -1)
        tally.expect(
            recorded >= end - 1,
            f"{topic}/{partition}",
            expected=f"recorded up to offset {end - 1}",
            found=f"offset {recorded}",
        )
