"""The notifier's alerts and notifications: a durable outbox with the state of each delivery."""

from libs.common.storage.migrations import execute

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the notifier and their views."""
    execute(
        """
        CREATE TABLE notifier.alerts (
            event_id uuid PRIMARY KEY,
            alert_type text NOT NULL,
            severity text NOT NULL CHECK (severity IN ('INFO', 'WARNING', 'CRITICAL')),
            component text NOT NULL,
            subject text NOT NULL,
            account text,
            symbol text,
            message text NOT NULL,
            parameters jsonb NOT NULL,
            occurred_at timestamptz NOT NULL,
            recorded_at timestamptz NOT NULL
        );
        CREATE INDEX alerts_in_time ON notifier.alerts (occurred_at);

        CREATE TABLE notifier.notifications (
            event_id uuid NOT NULL REFERENCES notifier.alerts ON DELETE CASCADE,
            channel text NOT NULL,
            state text NOT NULL CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'SUPPRESSED')),
            reason text NOT NULL DEFAULT '',
            title text NOT NULL,
            body text NOT NULL,
            language text NOT NULL,
            repeats_suppressed bigint NOT NULL DEFAULT 0,
            attempts integer NOT NULL DEFAULT 0,
            attempt_at timestamptz NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            sent_at timestamptz,
            PRIMARY KEY (event_id, channel)
        );
        CREATE INDEX notifications_queued ON notifier.notifications (attempt_at) WHERE state = 'QUEUED';

        -- When an alert of this kind was last told, and how many repetitions were held back since.
        CREATE TABLE notifier.repetitions (
            alert_type text NOT NULL,
            severity text NOT NULL,
            component text NOT NULL,
            subject text NOT NULL,
            told_at timestamptz NOT NULL,
            suppressed bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (alert_type, severity, component, subject)
        );

        CREATE VIEW reading.alerts AS
        SELECT alert.event_id, alert.alert_type, alert.severity, alert.component, alert.subject, alert.account,
               alert.symbol, alert.message, alert.parameters, alert.occurred_at, alert.recorded_at,
               dashboard.title, dashboard.body, dashboard.state, dashboard.repeats_suppressed
        FROM notifier.alerts AS alert
        LEFT JOIN notifier.notifications AS dashboard
            ON dashboard.event_id = alert.event_id AND dashboard.channel = 'dashboard';

        CREATE VIEW reading.notifications AS
        SELECT notification.event_id, notification.channel, alert.alert_type, alert.severity, alert.account,
               alert.symbol, notification.title, notification.body, notification.language, notification.state,
               notification.reason, notification.repeats_suppressed, notification.attempts,
               notification.created_at, notification.sent_at, alert.occurred_at
        FROM notifier.notifications AS notification JOIN notifier.alerts AS alert USING (event_id);

        GRANT SELECT ON reading.alerts, reading.notifications TO reader;
        """
    )


def downgrade() -> None:
    """Drop what `upgrade` created."""
    execute("DROP VIEW reading.notifications, reading.alerts")
    execute("DROP TABLE notifier.repetitions, notifier.notifications, notifier.alerts")
