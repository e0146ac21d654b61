"""What the recorder shows before its first record: an alert cannot see that nothing grows where nothing is."""

from libs.common.audit.records import RecordKind
from libs.common.observability import metrics
from services.audit_recorder.service import AuditRecorder
from tests.support.shown import shown


def test_a_recorder_that_has_recorded_nothing_shows_so():
    metrics.AUDIT_RECORDS.clear()

    AuditRecorder(follow=lambda _: None)

    assert [shown("trader_audit_records_total", kind=kind) for kind in RecordKind] == [0] * len(RecordKind)
