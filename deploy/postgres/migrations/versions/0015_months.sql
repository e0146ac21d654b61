-- The schema `months`: what the parts of divided tables are made with, and what keeps them.

CREATE SCHEMA months;

CREATE TABLE months.divided (
    table_name text PRIMARY KEY,
    dated_by name NOT NULL,
    kept interval,
    reason text NOT NULL
);
COMMENT ON TABLE months.divided IS 'Which tables are divided by month, and how long after its end a month is kept.';

CREATE VIEW months.parts AS
SELECT namespace.nspname || '.' || parent.relname AS table_name, part.relname::text AS part,
       coalesce(substring(bound FROM 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') AS begins_at,
       substring(bound FROM 'TO \(''([^'']+)''\)')::timestamptz AS ends_at
FROM pg_inherits
JOIN pg_class AS part ON part.oid = inhrelid
JOIN pg_class AS parent ON parent.oid = inhparent
JOIN pg_namespace AS namespace ON namespace.oid = parent.relnamespace,
LATERAL pg_get_expr(part.relpartbound, part.oid) AS bound
WHERE parent.relkind = 'p' AND bound <> 'DEFAULT';

-- Keys, indexes, defaults, storage and triggers are those of the pattern; rights are nobody's.
CREATE FUNCTION months.make_part(part text, pattern text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    like_it text := format('months.%I', pattern);
    storage text[];
    definition text;
BEGIN
    EXECUTE format('CREATE TABLE months.%I (LIKE %s INCLUDING ALL)', part, like_it);
    SELECT reloptions INTO storage FROM pg_class WHERE oid = like_it::regclass;
    IF storage IS NOT NULL THEN
        EXECUTE format('ALTER TABLE months.%I SET (%s)', part, array_to_string(storage, ', '));
    END IF;
    FOR definition IN
        SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = like_it::regclass AND NOT tgisinternal
    LOOP
        EXECUTE replace(definition, ' ON ' || like_it || ' ', format(' ON months.%I ', part));
    END LOOP;
END $$;

-- Makes this month and the next, and drops what is past its time; tells whether it could. It waits for nobody: a table
-- that is in use is left as it is until the next call.
CREATE FUNCTION months.keep(which text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '100ms' AS $$
DECLARE
    rule months.divided%ROWTYPE;
    stem text := replace(which, '.', '_');
    others text := format('months.%I', stem || '_default');
    begins timestamptz;
    past text;
    waits boolean := false;
BEGIN
    SELECT * INTO STRICT rule FROM months.divided WHERE table_name = which;
    FOR begins IN
        SELECT date_trunc('month', clock_timestamp()) + number * interval '1 month' FROM generate_series(0, 1) AS number
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM months.parts
            WHERE table_name = which AND begins_at < begins + interval '1 month' AND ends_at > begins
        );
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %s >= $1 AND %s < $2)', others, rule.dated_by, rule.dated_by)
            INTO waits USING begins, begins + interval '1 month';
        CONTINUE WHEN waits;  -- its rows came before it: `months.adopt` gives them a month at the next start
        past := stem || to_char(begins, '_YYYY_MM');
        PERFORM months.make_part(past, stem || '_default');
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION months.%I FOR VALUES FROM (%L) TO (%L)',
                       which, past, begins, begins + interval '1 month');
    END LOOP;
    FOR past IN
        SELECT part FROM months.parts WHERE table_name = which AND ends_at < clock_timestamp() - rule.kept
    LOOP
        IF which LIKE '%.outbox' THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM months.%I WHERE published_at IS NULL)', past) INTO waits;
            CONTINUE WHEN waits;
        END IF;
        IF which = 'trade_executor.outbox' THEN  -- see libs/common/messaging/published.py
            EXECUTE format(
                'INSERT INTO %s (account, sequence, topic, key, value, headers, recorded_at, published_at)
                 SELECT account, sequence, topic, key, value, headers, clock_timestamp(), published_at
                 FROM (SELECT *, row_number() OVER (PARTITION BY account, topic ORDER BY sequence DESC) AS age
                       FROM months.%I) AS row
                 WHERE age <= 100', which, past);
        END IF;
        EXECUTE format('ALTER TABLE %s DETACH PARTITION months.%I', which, past);
        EXECUTE format('DROP TABLE months.%I', past);
    END LOOP;
    IF rule.kept IS NOT NULL AND which NOT LIKE '%.outbox' THEN
        EXECUTE format('DELETE FROM %s WHERE %s < $1', others, rule.dated_by) USING clock_timestamp() - rule.kept;
    END IF;
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

-- Gives rows that came before their month was made a part of their own. For a start: until it commits, nobody else reads
-- or writes the table. Nobody but the owner may.
CREATE FUNCTION months.adopt(which text) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
DECLARE
    rule months.divided%ROWTYPE;
    stem text := replace(which, '.', '_');
    others text := stem || '_default';
    adopted text;
    begins timestamptz;
    ends timestamptz;
BEGIN
    SELECT * INTO STRICT rule FROM months.divided WHERE table_name = which;
    EXECUTE format('SELECT date_trunc(''month'', min(%s)), date_trunc(''month'', max(%s)) + interval ''1 month''
                    FROM months.%I', rule.dated_by, rule.dated_by, others) INTO begins, ends;
    IF begins IS NULL OR ends > date_trunc('month', clock_timestamp()) + interval '1 month' OR EXISTS (
        SELECT FROM months.parts WHERE table_name = which AND begins_at < ends AND ends_at > begins
    ) THEN
        RETURN true;
    END IF;
    adopted := stem || to_char(begins, '_YYYY_MM');
    EXECUTE format('ALTER TABLE %s DETACH PARTITION months.%I', which, others);
    EXECUTE format('ALTER TABLE months.%I RENAME TO %I', others, adopted);
    PERFORM months.make_part(others, adopted);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION months.%I FOR VALUES FROM (%L) TO (%L)',
                   which, adopted, begins, ends);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION months.%I DEFAULT', which, others);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

CREATE FUNCTION months.sizes() RETURNS TABLE (table_name text, bytes bigint) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT divided.table_name, sum(pg_total_relation_size(inhrelid))::bigint
    FROM months.divided JOIN pg_inherits ON inhparent = divided.table_name::regclass GROUP BY 1
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA months FROM PUBLIC;
GRANT USAGE ON SCHEMA months TO audit_recorder;
GRANT EXECUTE ON FUNCTION months.keep(text), months.sizes() TO audit_recorder;
