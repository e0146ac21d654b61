"""Notifications that are held, told again, or wait for an acknowledgement, and the channels that there are."""

from libs.common.storage.migrations import execute

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what channels outside need."""
    execute(
        """
        ALTER TABLE notifier.alerts
            ADD COLUMN acknowledged_at timestamptz,
            ADD COLUMN acknowledged_by text,
            -- When the next one is told that nobody has acknowledged it; NULL: nobody needs to, or somebody did.
            ADD COLUMN remind_at timestamptz,
            ADD COLUMN reminders integer NOT NULL DEFAULT 0;
        CREATE INDEX alerts_unanswered ON notifier.alerts (remind_at) WHERE remind_at IS NOT NULL;

        ALTER TABLE notifier.notifications
            DROP CONSTRAINT notifications_state_check,
            ADD CONSTRAINT notifications_state_check
                CHECK (state IN ('QUEUED', 'HELD', 'SENT', 'FAILED', 'SUPPRESSED')),
            -- Never held: an emergency, or critical.
            ADD COLUMN urgent boolean NOT NULL DEFAULT FALSE,
            -- Which notifier is delivering it at this moment.
            ADD COLUMN taken_by text NOT NULL DEFAULT '';
        DROP INDEX notifier.notifications_queued;
        CREATE INDEX notifications_waiting ON notifier.notifications (channel, state, attempt_at)
            WHERE state IN ('QUEUED', 'HELD');

        CREATE TABLE notifier.channels (
            channel text PRIMARY KEY,
            is_configured boolean NOT NULL,
            problem text NOT NULL,
            looked_at timestamptz NOT NULL
        );

        CREATE OR REPLACE VIEW reading.alerts AS
        SELECT alert.event_id, alert.alert_type, alert.severity, alert.component, alert.subject, alert.account,
               alert.symbol, alert.message, alert.parameters, alert.occurred_at, alert.recorded_at,
               dashboard.title, dashboard.body, dashboard.state, dashboard.repeats_suppressed,
               left(replace(alert.event_id::text, '-', ''), 8) AS id, alert.acknowledged_at, alert.acknowledged_by,
               alert.alert_type = 'EMERGENCY_STOP' AND alert.severity <> 'INFO' AND alert.acknowledged_at IS NULL
                   AND NOT EXISTS (
                       SELECT FROM notifier.alerts AS ending
                       WHERE ending.alert_type = 'EMERGENCY_STOP' AND ending.severity = 'INFO'
                         AND coalesce(alert.account, ending.account) = ending.account
                         AND ending.occurred_at > alert.occurred_at
                   ) AS unacknowledged,
               coalesce(told.deliveries, '{}'::jsonb) AS deliveries
        FROM notifier.alerts AS alert
        LEFT JOIN notifier.notifications AS dashboard
            ON dashboard.event_id = alert.event_id AND dashboard.channel = 'dashboard'
        LEFT JOIN LATERAL (
            SELECT jsonb_object_agg(
                each.channel, CASE WHEN each.state IN ('HELD', 'SUPPRESSED') THEN each.reason ELSE each.state END
            ) AS deliveries
            FROM notifier.notifications AS each WHERE each.event_id = alert.event_id
        ) AS told ON TRUE;

        CREATE VIEW reading.channels AS SELECT channel, is_configured, problem, looked_at FROM notifier.channels;
        GRANT SELECT ON reading.channels TO reader;
        """
    )


def downgrade() -> None:
    """Drop what `upgrade` added; what waited is queued."""
    execute(
        """
        DROP VIEW reading.channels, reading.alerts;
        DROP TABLE notifier.channels;
        UPDATE notifier.notifications SET state = 'QUEUED' WHERE state = 'HELD';
        DROP INDEX notifier.notifications_waiting;
        CREATE INDEX notifications_queued ON notifier.notifications (attempt_at) WHERE state = 'QUEUED';
        ALTER TABLE notifier.notifications
            DROP CONSTRAINT notifications_state_check,
            ADD CONSTRAINT notifications_state_check CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'SUPPRESSED')),
            DROP COLUMN urgent,
            DROP COLUMN taken_by;
        DROP INDEX notifier.alerts_unanswered;
        ALTER TABLE notifier.alerts
            DROP COLUMN acknowledged_at, DROP COLUMN acknowledged_by, DROP COLUMN remind_at, DROP COLUMN reminders;
        CREATE VIEW reading.alerts AS
        SELECT alert.event_id, alert.alert_type, alert.severity, alert.component, alert.subject, alert.account,
               alert.symbol, alert.message, alert.parameters, alert.occurred_at, alert.recorded_at,
               dashboard.title, dashboard.body, dashboard.state, dashboard.repeats_suppressed
        FROM notifier.alerts AS alert
        LEFT JOIN notifier.notifications AS dashboard
            ON dashboard.event_id = alert.event_id AND dashboard.channel = 'dashboard';
        GRANT SELECT ON reading.alerts TO reader;
        """
    )
