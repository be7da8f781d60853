-- The changes of files and of the blobs that they point at. How they lock: uploads.sql.

-- Whether there was such a file.
CREATE OR REPLACE FUNCTION destroy_file(p_id BIGINT, p_owner TEXT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
    v_digest BYTEA;
    v_owner TEXT;
BEGIN
    SELECT digest, owner INTO v_digest, v_owner FROM files
        WHERE id = p_id AND (expires IS NULL OR expires > v_now) AND (p_owner IS NULL OR owner = p_owner)
        FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM 1 FROM blobs WHERE digest = v_digest FOR NO KEY UPDATE;
    DELETE FROM files WHERE id = p_id;
    UPDATE blobs SET dying_since = v_now, let_go_by = v_owner
        WHERE digest = v_digest AND dying_since IS NULL
            AND NOT EXISTS (SELECT 1 FROM files WHERE files.digest = v_digest);
    RETURN true;
END $$;

-- The removed uploads, and the number of the removed files in a row of its own. What another node is about to
-- remove is left to it. Of several files that were a blob's last at the same time, the newest is taken for it.
CREATE OR REPLACE FUNCTION remove_expired(p_limit BIGINT, p_now BIGINT)
    RETURNS TABLE (upload UUID, file_count BIGINT) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
    v_uploads UUID[];
    v_ids BIGINT[];
    v_digests BYTEA[];
    v_owners TEXT[];
BEGIN
    WITH expired AS MATERIALIZED (
        SELECT id FROM uploads WHERE expires <= v_now ORDER BY expires LIMIT p_limit FOR UPDATE SKIP LOCKED
    )
    SELECT array_agg(id) INTO v_uploads FROM expired;
    WITH expired AS MATERIALIZED (
        SELECT id, digest, owner FROM files WHERE expires <= v_now ORDER BY expires LIMIT p_limit
            FOR UPDATE SKIP LOCKED
    )
    SELECT array_agg(id ORDER BY id DESC), array_agg(digest ORDER BY id DESC), array_agg(owner ORDER BY id DESC)
        INTO v_ids, v_digests, v_owners FROM expired;
    PERFORM 1 FROM blobs WHERE digest = ANY (v_digests) ORDER BY digest FOR NO KEY UPDATE;
    DELETE FROM files WHERE id = ANY (v_ids);
    UPDATE blobs SET dying_since = v_now, let_go_by = v_owners[array_position(v_digests, digest)]
        WHERE digest = ANY (v_digests) AND dying_since IS NULL
            AND NOT EXISTS (SELECT 1 FROM files WHERE files.digest = blobs.digest);
    -- Last, since this changes counters.
    RETURN QUERY DELETE FROM uploads WHERE id = ANY (v_uploads) RETURNING id, NULL::BIGINT;
    RETURN QUERY SELECT NULL::UUID, coalesce(cardinality(v_ids), 0)::BIGINT;
END $$;

-- Whether the blob's row was removed, because it still has been dying for so long.
CREATE OR REPLACE FUNCTION remove_blob(p_digest BYTEA, p_grace BIGINT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    v_let_go_by TEXT;
BEGIN
    DELETE FROM blobs WHERE digest = p_digest AND dying_since <= coalesce(p_now, now_ms()) - p_grace
        RETURNING let_go_by INTO v_let_go_by;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM release_content(p_digest, v_let_go_by);
    RETURN true;
END $$;
