-- The changes of uploads: one call of the server each, and so one transaction.
--
-- Each statement of a function sees what was committed before it, in READ COMMITTED, which is the server's way unless
-- it is told otherwise. So whoever has to look at rows before changing others locks first and looks then. All functions
-- lock in one order: limits and quotas, uploads, files by their ids, blobs by their digests, counters. A new file is nobody
-- else's yet.
--
-- `p_now` is the time that a test wants it to be; NULL stands for the database's own.

-- Tells how many uploads are open when they are too many, and NULL when the upload is recorded. Owners who may come near
-- the limit begin one upload after the other, and the others beside each other: as quotas.sql tells. Repeating the call
-- changes nothing.
CREATE OR REPLACE FUNCTION create_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
    p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT, p_path TEXT, p_quota BIGINT
) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    v_open BIGINT;
    v_is_near BOOLEAN := false;
    v_is_alone BOOLEAN;
    v_is_there BOOLEAN := false;
BEGIN
    IF p_limit IS NOT NULL THEN
        v_is_near := p_limit / 2 < current_setting('max_connections')::BIGINT
            OR open_uploads(p_owner, p_limit) >= p_limit / 4
            OR NOT pg_try_advisory_xact_lock_shared(1651273570, hashtext(p_owner));
        IF v_is_near THEN PERFORM pg_advisory_xact_lock(1651273570, hashtext(p_owner)); END IF;
        v_open := open_uploads(p_owner, p_limit);
        IF NOT v_is_near AND v_open >= p_limit / 2 THEN
            RAISE serialization_failure USING MESSAGE = 'the open uploads were nearly too many meanwhile';
        END IF;
        IF v_open >= p_limit THEN
            SELECT p_epoch = 0 AND EXISTS (
                SELECT 1 FROM uploads WHERE id = p_id AND owner = p_owner AND epoch = 0 AND state = {open}
            ) INTO v_is_there;
            RETURN CASE WHEN v_is_there THEN NULL ELSE v_open END;
        END IF;
    END IF;
    v_is_alone := begin_adding(p_owner, charge(p_offset), p_quota);
    INSERT INTO uploads
        (id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, path)
        VALUES (
            p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, {open},
            p_path
        )
        ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        SELECT EXISTS (
            SELECT 1 FROM uploads WHERE id = p_id AND owner = p_owner AND epoch = 0 AND state = {open}
        ) INTO v_is_there;
        IF NOT v_is_there THEN
            RAISE unique_violation USING MESSAGE = 'there is another upload of this id';
        END IF;
        RETURN NULL;
    END IF;
    PERFORM end_adding(p_owner, charge(p_offset), p_quota, v_is_alone);
    RETURN NULL;
END $$;

-- Of nodes that hold quotas by themselves.
CREATE OR REPLACE FUNCTION create_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
    p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT, p_path TEXT
) RETURNS BIGINT LANGUAGE sql AS $$
    SELECT create_upload(
        p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, p_limit,
        p_path, NULL
    )
$$;

-- Of nodes that know no paths.
CREATE OR REPLACE FUNCTION create_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
    p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT
) RETURNS BIGINT LANGUAGE sql AS $$
    SELECT create_upload(
        p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, p_limit,
        NULL, NULL
    )
$$;

-- The upload as it is now: claimed, when it is open.
CREATE OR REPLACE FUNCTION claim_upload(p_id UUID, p_now BIGINT) RETURNS SETOF uploads LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
BEGIN
    RETURN QUERY UPDATE uploads SET epoch = epoch + 1 WHERE id = p_id AND state = {open} AND expires > v_now
        RETURNING uploads.*;
    IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM uploads WHERE id = p_id AND state <> {open} AND expires > v_now;
    END IF;
END $$;

-- Why a change found no row for an upload that its caller had claimed.
CREATE OR REPLACE FUNCTION upload_refusal(p_id UUID, p_now BIGINT) RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM uploads WHERE id = p_id AND expires > p_now;
    RETURN CASE WHEN FOUND THEN 'superseded' ELSE 'unknown' END;
END $$;

CREATE OR REPLACE FUNCTION advance_upload(
    p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_new_offset BIGINT, p_digest_state BYTEA, p_expires BIGINT,
    p_announcing BOOLEAN, p_now BIGINT, p_owner TEXT, p_quota BIGINT
) RETURNS TABLE (refusal TEXT, told_offset BIGINT) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
    v_charge BIGINT := charge(p_new_offset) - charge(p_offset);
    v_is_alone BOOLEAN := begin_adding(p_owner, v_charge, p_quota);
BEGIN
    UPDATE uploads SET byte_offset = p_new_offset, digest_state = p_digest_state, expires = p_expires,
        announced = CASE WHEN p_announcing THEN p_new_offset ELSE announced END
        WHERE id = p_id AND epoch = p_epoch AND byte_offset = p_offset AND state = {open} AND expires > v_now
        RETURNING announced INTO told_offset;
    IF FOUND THEN
        PERFORM end_adding(p_owner, v_charge, p_quota, v_is_alone);
    ELSE
        refusal := upload_refusal(p_id, v_now);
    END IF;
    RETURN NEXT;
END $$;

-- Of nodes that hold quotas by themselves.
CREATE OR REPLACE FUNCTION advance_upload(
    p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_new_offset BIGINT, p_digest_state BYTEA, p_expires BIGINT,
    p_announcing BOOLEAN, p_now BIGINT
) RETURNS TABLE (refusal TEXT, told_offset BIGINT) LANGUAGE sql AS $$
    SELECT * FROM advance_upload(
        p_id, p_epoch, p_offset, p_new_offset, p_digest_state, p_expires, p_announcing, p_now, NULL, NULL
    )
$$;

-- The file has its upload's path, whichever node completes it.
CREATE OR REPLACE FUNCTION complete_upload(
    p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_size BIGINT, p_digest_state BYTEA, p_digest BYTEA,
    p_expires BIGINT, p_file_expires BIGINT, p_now BIGINT, p_owner TEXT, p_quota BIGINT
) RETURNS TABLE (refusal TEXT, new_file_id BIGINT, completed BIGINT) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
    v_charge BIGINT := charge(p_size) - charge(p_offset);
    v_is_alone BOOLEAN := begin_adding(p_owner, v_charge, p_quota);
    v_upload uploads;
    v_let_go_by TEXT;
BEGIN
    UPDATE uploads SET state = {completed}, byte_offset = p_size, digest_state = p_digest_state,
        file_id = next_file_id(v_now), file_digest = p_digest, file_created = v_now,
        file_expires = p_file_expires, expires = p_expires
        WHERE id = p_id AND epoch = p_epoch AND byte_offset = p_offset AND state = {open} AND expires > v_now
        RETURNING uploads.* INTO v_upload;
    IF NOT FOUND THEN
        refusal := upload_refusal(p_id, v_now);
        RETURN NEXT;
        RETURN;
    END IF;
    -- The lock lasts until the commit: the blob cannot begin to die before the file is there.
    LOOP
        INSERT INTO blobs (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
        SELECT let_go_by INTO v_let_go_by FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
        -- It may be removed between the two.
        EXIT WHEN FOUND;
    END LOOP;
    IF v_let_go_by <> v_upload.owner THEN
        -- Counters of two owners change: everybody takes them in one order.
        PERFORM FROM usage WHERE owner IN (v_let_go_by, v_upload.owner) AND slot = counter_slot()
            ORDER BY owner FOR UPDATE;
    END IF;
    PERFORM adopt_content(p_id, p_epoch, p_digest);
    UPDATE blobs SET dying_since = NULL, let_go_by = NULL, condition = {sound}
        WHERE digest = p_digest AND (dying_since IS NOT NULL OR condition <> {sound});
    INSERT INTO files (id, digest, owner, name, size, temporary, created, expires, path)
        VALUES (
            v_upload.file_id, p_digest, v_upload.owner, coalesce(v_upload.name, encode(p_digest, 'hex')),
            p_size, v_upload.temporary, v_now, p_file_expires, v_upload.path
        );
    PERFORM count_let_go(ARRAY[v_upload.owner], ARRAY[charge_of_row({completed}, p_size)]);
    PERFORM end_adding(p_owner, v_charge, p_quota, v_is_alone);
    new_file_id := v_upload.file_id;
    completed := v_now;
    RETURN NEXT;
END $$;

-- Of nodes that hold quotas by themselves.
CREATE OR REPLACE FUNCTION complete_upload(
    p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_size BIGINT, p_digest_state BYTEA, p_digest BYTEA,
    p_expires BIGINT, p_file_expires BIGINT, p_now BIGINT
) RETURNS TABLE (refusal TEXT, new_file_id BIGINT, completed BIGINT) LANGUAGE sql AS $$
    SELECT * FROM complete_upload(
        p_id, p_epoch, p_offset, p_size, p_digest_state, p_digest, p_expires, p_file_expires, p_now, NULL, NULL
    )
$$;
