-- Letting go of contents and objects that nothing speaks of any more.

-- Whether an object is a part of anything.
CREATE OR REPLACE FUNCTION is_needed(p_upload UUID, p_name TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM segments WHERE upload = p_upload AND name = p_name)
        OR EXISTS (
            SELECT FROM contents JOIN pieces ON content = id
                WHERE upload = p_upload AND name = p_name
        )
$$;

-- Lets go of contents that were removed so long ago, and removes those that were published a day ago by uploads that
-- are over.
CREATE OR REPLACE FUNCTION sweep_contents(p_window BIGINT, p_limit BIGINT) RETURNS BIGINT
LANGUAGE plpgsql AS $$ DECLARE
    v_content RECORD;
    v_ids BIGINT[] := ARRAY[]::BIGINT[];
BEGIN
    UPDATE contents SET state = {removed}, removed = now_ms() WHERE id IN (
        SELECT id FROM contents c WHERE state = {published} AND created < now_ms() - 86400000
            AND NOT EXISTS (SELECT FROM uploads WHERE id = c.upload AND state = {open} AND content = c.id)
            LIMIT p_limit FOR UPDATE SKIP LOCKED
    );
    FOR v_content IN
        SELECT id, upload, removed FROM contents WHERE state = {removed} AND removed <= now_ms() - p_window
            ORDER BY removed LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        INSERT INTO released (upload, name, since)
            SELECT v_content.upload, name, v_content.removed FROM pieces WHERE content = v_content.id
            -- Waits for whoever is about to find that these pieces need it, and to take its row away.
            ON CONFLICT (upload, name) DO UPDATE SET since = released.since;
        DELETE FROM pieces WHERE content = v_content.id;
        v_ids := v_ids || v_content.id;
    END LOOP;
    -- At once, since this changes counters.
    DELETE FROM contents WHERE id = ANY (v_ids);
    RETURN cardinality(v_ids);
END $$;

-- Objects that were released so long ago, for this caller to delete within the lease. An object that is needed
-- is released no more; whoever needs it releases it again.
CREATE OR REPLACE FUNCTION take_released(p_window BIGINT, p_lease BIGINT, p_limit BIGINT)
RETURNS TABLE (object_upload UUID, object_name TEXT) LANGUAGE plpgsql AS $$ DECLARE
    v_object RECORD;
BEGIN
    FOR v_object IN
        SELECT upload, name FROM released WHERE since <= now_ms() - p_window AND leased < now_ms()
            ORDER BY since LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        IF is_needed(v_object.upload, v_object.name) THEN
            DELETE FROM released WHERE upload = v_object.upload AND name = v_object.name;
        ELSE
            UPDATE released SET leased = now_ms() + p_lease
                WHERE upload = v_object.upload AND name = v_object.name;
            object_upload := v_object.upload;
            object_name := v_object.name;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION forget_released(p_uploads UUID[], p_names TEXT[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM released USING unnest(p_uploads, p_names) AS gone (upload, name)
        WHERE released.upload = gone.upload AND released.name = gone.name
$$;

-- Those of some objects that no row speaks of.
CREATE OR REPLACE FUNCTION unknown_objects(p_uploads UUID[], p_names TEXT[])
RETURNS TABLE (object_upload UUID, object_name TEXT) LANGUAGE sql STABLE AS $$
    SELECT o.upload, o.name FROM unnest(p_uploads, p_names) AS o (upload, name)
        WHERE NOT is_needed(o.upload, o.name)
            AND NOT EXISTS (SELECT FROM released r WHERE r.upload = o.upload AND r.name = o.name)
$$;
