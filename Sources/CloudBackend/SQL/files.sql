-- The changes of files and of the blobs that they point at. How they lock: uploads.sql.

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
