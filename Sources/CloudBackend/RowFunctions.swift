// The functions that change the rows: one call of the server each, and so one transaction.

/// Each statement of these functions sees what was committed before it, in READ COMMITTED, which is the server's way
/// unless it is told otherwise. So whoever has to look at rows before changing others locks first and looks then. All
/// lock in one order: uploads, files by their ids, blobs by their digests, counters. A new file is nobody else's yet.
///
/// They stand here as the newest version has them. What nodes of older versions call stays, and ends in the same steps.
///
/// `p_now` is the time that a test wants it to be; NULL stands for the database's own.
enum RowFunctions {
    static let times = """
        -- Times are milliseconds since 1970 everywhere, and all nodes take them from here. It is the time at which the
        -- statement came in. STABLE lets the server look into an index at it, and know beforehand how much is there.
        CREATE OR REPLACE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql STABLE AS $$
            SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::BIGINT
        $$;

        -- An id is the time in milliseconds since 2018 above 22 bits, and a number in them. The time goes on from the
        -- newest of all ids when the clock went back, and when the numbers begin again within it. Sequences are outside
        -- of transactions: nobody waits for another here.
        CREATE OR REPLACE FUNCTION next_file_id(p_now BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
        DECLARE
            v_number BIGINT := nextval('file_numbers');
            v_moment BIGINT := least(greatest(p_now, 1514764800000) - 1514764800000, 2199023255550);
            v_last BIGINT;
        BEGIN
            SELECT last_value INTO v_last FROM file_moment;
            IF v_moment <= v_last THEN
                v_moment := v_last + CASE v_number WHEN 0 THEN 1 ELSE 0 END;
            END IF;
            IF v_moment > v_last THEN
                PERFORM setval('file_moment', greatest(v_moment, last_value)) FROM file_moment;
            END IF;
            RETURN v_moment << 22 | v_number;
        END $$;

        """

    static let uploads = """
        -- Tells how many uploads are open when they are too many, and NULL when the upload is recorded. The limit is
        -- looked at in turn only by owners who may come near it. Repeating the call changes nothing.
        CREATE OR REPLACE FUNCTION create_upload(
            p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
            p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT, p_path TEXT
        ) RETURNS BIGINT LANGUAGE plpgsql AS $$
        DECLARE
            v_open BIGINT;
            v_is_there BOOLEAN := false;
        BEGIN
            IF p_limit IS NOT NULL THEN
                SELECT count(*) INTO v_open
                    FROM (SELECT 1 FROM uploads WHERE owner = p_owner AND state = 0 LIMIT p_limit) AS open;
                IF v_open >= p_limit / 2 OR p_limit / 2 < current_setting('max_connections')::BIGINT THEN
                    PERFORM pg_advisory_xact_lock(1651273570, hashtext(p_owner));
                    SELECT count(*) INTO v_open
                        FROM (SELECT 1 FROM uploads WHERE owner = p_owner AND state = 0 LIMIT p_limit) AS open;
                END IF;
                IF v_open >= p_limit THEN
                    SELECT p_epoch = 0 AND EXISTS (
                        SELECT 1 FROM uploads WHERE id = p_id AND owner = p_owner AND epoch = 0 AND state = 0
                    ) INTO v_is_there;
                    RETURN CASE WHEN v_is_there THEN NULL ELSE v_open END;
                END IF;
            END IF;
            INSERT INTO uploads
                (id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, path)
                VALUES (
                    p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, 0,
                    p_path
                )
                ON CONFLICT (id) DO NOTHING;
            IF NOT FOUND THEN
                SELECT EXISTS (
                    SELECT 1 FROM uploads WHERE id = p_id AND owner = p_owner AND epoch = 0 AND state = 0
                ) INTO v_is_there;
                IF NOT v_is_there THEN
                    RAISE unique_violation USING MESSAGE = 'there is another upload of this id';
                END IF;
            END IF;
            RETURN NULL;
        END $$;

        -- Of nodes that know no paths.
        CREATE OR REPLACE FUNCTION create_upload(
            p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
            p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT
        ) RETURNS BIGINT LANGUAGE sql AS $$
            SELECT create_upload(
                p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, p_limit,
                NULL
            )
        $$;

        -- The upload as it is now: claimed, when it is open.
        CREATE OR REPLACE FUNCTION claim_upload(p_id UUID, p_now BIGINT) RETURNS SETOF uploads LANGUAGE plpgsql AS $$
        DECLARE
            v_now BIGINT := coalesce(p_now, now_ms());
        BEGIN
            RETURN QUERY UPDATE uploads SET epoch = epoch + 1 WHERE id = p_id AND state = 0 AND expires > v_now
                RETURNING uploads.*;
            IF NOT FOUND THEN
                RETURN QUERY SELECT * FROM uploads WHERE id = p_id AND state <> 0 AND expires > v_now;
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
            p_announcing BOOLEAN, p_now BIGINT
        ) RETURNS TABLE (refusal TEXT, told_offset BIGINT) LANGUAGE plpgsql AS $$
        DECLARE
            v_now BIGINT := coalesce(p_now, now_ms());
        BEGIN
            UPDATE uploads SET byte_offset = p_new_offset, digest_state = p_digest_state, expires = p_expires,
                announced = CASE WHEN p_announcing THEN p_new_offset ELSE announced END
                WHERE id = p_id AND epoch = p_epoch AND byte_offset = p_offset AND state = 0 AND expires > v_now
                RETURNING announced INTO told_offset;
            IF NOT FOUND THEN refusal := upload_refusal(p_id, v_now); END IF;
            RETURN NEXT;
        END $$;

        -- The file has its upload's path, whichever node completes it.
        CREATE OR REPLACE FUNCTION complete_upload(
            p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_size BIGINT, p_digest_state BYTEA, p_digest BYTEA,
            p_expires BIGINT, p_file_expires BIGINT, p_now BIGINT
        ) RETURNS TABLE (refusal TEXT, new_file_id BIGINT, completed BIGINT) LANGUAGE plpgsql AS $$
        DECLARE
            v_now BIGINT := coalesce(p_now, now_ms());
            v_upload uploads;
        BEGIN
            UPDATE uploads SET state = 1, byte_offset = p_size, digest_state = p_digest_state,
                file_id = next_file_id(v_now), file_digest = p_digest, file_created = v_now,
                file_expires = p_file_expires, expires = p_expires
                WHERE id = p_id AND epoch = p_epoch AND byte_offset = p_offset AND state = 0 AND expires > v_now
                RETURNING uploads.* INTO v_upload;
            IF NOT FOUND THEN
                refusal := upload_refusal(p_id, v_now);
                RETURN NEXT;
                RETURN;
            END IF;
            -- The lock lasts until the commit: the blob cannot begin to die before the file is there.
            LOOP
                INSERT INTO blobs (digest, size) VALUES (p_digest, p_size) ON CONFLICT (digest) DO NOTHING;
                PERFORM FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
                -- It may be removed between the two.
                EXIT WHEN FOUND;
            END LOOP;
            PERFORM adopt_content(p_id, p_epoch, p_digest);
            UPDATE blobs SET dying_since = NULL, condition = 0
                WHERE digest = p_digest AND (dying_since IS NOT NULL OR condition <> 0);
            INSERT INTO files (id, digest, owner, name, size, temporary, created, expires, path)
                VALUES (
                    v_upload.file_id, p_digest, v_upload.owner, coalesce(v_upload.name, encode(p_digest, 'hex')),
                    p_size, v_upload.temporary, v_now, p_file_expires, v_upload.path
                );
            new_file_id := v_upload.file_id;
            completed := v_now;
            RETURN NEXT;
        END $$;

        """

    static let files = """
        -- Whether there was such a file.
        CREATE OR REPLACE FUNCTION destroy_file(p_id BIGINT, p_owner TEXT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
        DECLARE
            v_now BIGINT := coalesce(p_now, now_ms());
            v_digest BYTEA;
        BEGIN
            SELECT digest INTO v_digest FROM files
                WHERE id = p_id AND (expires IS NULL OR expires > v_now) AND (p_owner IS NULL OR owner = p_owner)
                FOR UPDATE;
            IF NOT FOUND THEN RETURN false; END IF;
            PERFORM 1 FROM blobs WHERE digest = v_digest FOR NO KEY UPDATE;
            DELETE FROM files WHERE id = p_id;
            UPDATE blobs SET dying_since = v_now
                WHERE digest = v_digest AND dying_since IS NULL
                    AND NOT EXISTS (SELECT 1 FROM files WHERE files.digest = v_digest);
            RETURN true;
        END $$;

        -- The removed uploads, and the number of the removed files in a row of its own. What another node is about to
        -- remove is left to it.
        CREATE OR REPLACE FUNCTION remove_expired(p_limit BIGINT, p_now BIGINT)
            RETURNS TABLE (upload UUID, file_count BIGINT) LANGUAGE plpgsql AS $$
        DECLARE
            v_now BIGINT := coalesce(p_now, now_ms());
            v_ids BIGINT[];
            v_digests BYTEA[];
        BEGIN
            RETURN QUERY
                WITH expired AS MATERIALIZED (
                    SELECT id FROM uploads WHERE expires <= v_now ORDER BY expires LIMIT p_limit
                        FOR UPDATE SKIP LOCKED
                )
                DELETE FROM uploads USING expired WHERE uploads.id = expired.id RETURNING uploads.id, NULL::BIGINT;
            WITH expired AS MATERIALIZED (
                SELECT id, digest FROM files WHERE expires <= v_now ORDER BY expires LIMIT p_limit
                    FOR UPDATE SKIP LOCKED
            )
            SELECT array_agg(id), array_agg(DISTINCT digest) INTO v_ids, v_digests FROM expired;
            PERFORM 1 FROM blobs WHERE digest = ANY (v_digests) ORDER BY digest FOR NO KEY UPDATE;
            DELETE FROM files WHERE id = ANY (v_ids);
            UPDATE blobs SET dying_since = v_now
                WHERE digest = ANY (v_digests) AND dying_since IS NULL
                    AND NOT EXISTS (SELECT 1 FROM files WHERE files.digest = blobs.digest);
            RETURN QUERY SELECT NULL::UUID, coalesce(cardinality(v_ids), 0)::BIGINT;
        END $$;

        -- Whether the blob's row was removed, because it still has been dying for so long.
        CREATE OR REPLACE FUNCTION remove_blob(p_digest BYTEA, p_grace BIGINT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM blobs WHERE digest = p_digest AND dying_since <= coalesce(p_now, now_ms()) - p_grace;
            IF NOT FOUND THEN RETURN false; END IF;
            PERFORM release_content(p_digest);
            RETURN true;
        END $$;

        """
}
