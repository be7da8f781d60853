-- What a subject may take up, held by the transactions that add to it, on all nodes.
--
-- What others add meanwhile, a transaction does not see before they commit. Whoever comes near a limit waits until nobody
-- else adds to what the subject has. Far from it, many go on at once: each connection of the server may add so little
-- unseen that all of them together stay within the half of the limit that nobody has seen used. Everybody who adds takes
-- the lock, before all others: the one alone, the others together.

-- What a subject takes up, as far as this transaction sees.
CREATE OR REPLACE FUNCTION usage_of(p_owner TEXT)
RETURNS TABLE (charge BIGINT, let_go BIGINT, open_uploads BIGINT) LANGUAGE sql STABLE AS $$
    SELECT least(files.charge + open.charge, 9223372036854775807)::BIGINT,
        least(files.let_go, 9223372036854775807)::BIGINT, open.uploads
        FROM (
            SELECT coalesce(sum(usage.charge), 0) AS charge, coalesce(sum(usage.let_go), 0) AS let_go
                FROM usage WHERE owner = p_owner
        ) AS files, (
            SELECT coalesce(sum(charge(byte_offset)), 0) AS charge, count(*) AS uploads
                FROM uploads WHERE owner = p_owner AND state = {open}
        ) AS open
$$;

-- Before a change that adds so much to what the subject has: takes the lock, and tells whether it has it alone.
CREATE OR REPLACE FUNCTION begin_adding(p_owner TEXT, p_charge BIGINT, p_quota BIGINT) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$ DECLARE
    v_usage RECORD;
BEGIN
    IF p_quota IS NULL OR p_charge <= 0 THEN RETURN false; END IF;
    IF p_charge <= p_quota / 2 / current_setting('max_connections')::BIGINT THEN
        SELECT * INTO v_usage FROM usage_of(p_owner);
        -- A quarter, so that the half is still far when it was looked at again.
        IF v_usage.charge::NUMERIC + v_usage.let_go <= p_quota / 4
            AND pg_try_advisory_xact_lock_shared(1651273571, hashtext(p_owner))
        THEN
            RETURN false;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(1651273571, hashtext(p_owner));
    RETURN true;
END $$;

-- After the change: undoes it when there is no room for it.
CREATE OR REPLACE FUNCTION end_adding(p_owner TEXT, p_charge BIGINT, p_quota BIGINT, p_is_alone BOOLEAN) RETURNS void
LANGUAGE plpgsql AS $$ DECLARE
    v_usage RECORD;
BEGIN
    IF p_quota IS NULL OR p_charge <= 0 THEN RETURN; END IF;
    SELECT * INTO v_usage FROM usage_of(p_owner);
    IF p_is_alone THEN
        IF v_usage.charge > p_quota OR v_usage.charge::NUMERIC + v_usage.let_go > p_quota * 2::NUMERIC THEN
            RAISE EXCEPTION 'the quota has no room' USING ERRCODE = 'BD002';
        END IF;
    ELSIF v_usage.charge::NUMERIC + v_usage.let_go > p_quota / 2 THEN
        RAISE serialization_failure USING MESSAGE = 'the quota was nearly used up meanwhile';
    END IF;
END $$;

-- As many of a subject's open uploads as matter.
CREATE OR REPLACE FUNCTION open_uploads(p_owner TEXT, p_limit BIGINT) RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM (SELECT 1 FROM uploads WHERE owner = p_owner AND state = {open} LIMIT p_limit) AS open
$$;
