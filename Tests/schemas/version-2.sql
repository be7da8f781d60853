-- What the second version made of it.
-- Who waits for a table lets all others wait behind. Better is to start this node once more.
SET LOCAL lock_timeout = '10s';
ALTER TABLE uploads ADD COLUMN path TEXT COLLATE "C";  -- where the file lay in its folder
ALTER TABLE files ADD COLUMN path TEXT COLLATE "C";
ALTER TABLE tokens ADD COLUMN subject TEXT COLLATE "C";  -- NULL: that of the token's name
-- As without a path, in one transaction: nobody sees the upload before it has it.
CREATE FUNCTION create_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
    p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT, p_path TEXT
) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    v_open BIGINT := create_upload(
        p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, p_limit
    );
BEGIN
    IF v_open IS NULL AND p_path IS NOT NULL THEN
        UPDATE uploads SET path = p_path WHERE id = p_id AND path IS NULL;
    END IF;
    RETURN v_open;
END $$;

-- The file has its upload's path, whichever node completes it.
CREATE OR REPLACE FUNCTION complete_upload(
    p_id UUID, p_epoch BIGINT, p_offset BIGINT, p_size BIGINT, p_digest_state BYTEA, p_digest BYTEA,
    p_expires BIGINT, p_file_expires BIGINT, p_now BIGINT
) RETURNS TABLE (refusal TEXT, new_file_id BIGINT, completed BIGINT) LANGUAGE plpgsql AS $$
DECLARE
    v_now BIGINT := coalesce(p_now, now_ms());
    v_upload uploads;
    v_was_sound BOOLEAN;
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
        SELECT condition = 0 INTO v_was_sound FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
        -- It may be removed between the two.
        EXIT WHEN FOUND;
    END LOOP;
    PERFORM adopt_content(p_id, p_epoch, p_digest, v_was_sound);
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
DROP FUNCTION import_files;
-- An expiry of 0 and an empty path stand for none.
CREATE FUNCTION import_files(
    p_after BIGINT, p_through BIGINT, p_ids BIGINT[], p_digests BYTEA[], p_owners TEXT[], p_names TEXT[],
    p_sizes BIGINT[], p_temporary BIGINT[], p_created BIGINT[], p_expires BIGINT[], p_paths TEXT[]
) RETURNS BIGINT LANGUAGE plpgsql AS $$ BEGIN
    PERFORM destroy_file(id, NULL, 0) FROM imported_files
        WHERE id > p_after AND id <= p_through AND NOT id = ANY (p_ids);
    DELETE FROM imported_files WHERE id > p_after AND id <= p_through AND NOT id = ANY (p_ids);
    PERFORM FROM blobs WHERE digest = ANY (p_digests) ORDER BY digest FOR NO KEY UPDATE;
    WITH brought AS (
        INSERT INTO files (id, digest, owner, name, size, temporary, created, expires, path)
            SELECT list.id, digest, owner, name, list.size, temporary = 1, created, nullif(expires, 0),
                nullif(path, '')
            FROM unnest(p_ids, p_digests, p_owners, p_names, p_sizes, p_temporary, p_created, p_expires, p_paths)
                AS list (id, digest, owner, name, size, temporary, created, expires, path)
            JOIN blobs USING (digest)
            ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO imported_files SELECT id FROM brought ON CONFLICT (id) DO NOTHING;
    UPDATE blobs SET dying_since = NULL WHERE digest = ANY (p_digests) AND dying_since IS NOT NULL
        AND EXISTS (SELECT FROM files WHERE files.digest = blobs.digest);
    RETURN (SELECT count(*) FROM files WHERE id = ANY (p_ids));
END $$;

DROP FUNCTION import_upload;
CREATE FUNCTION import_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_offset BIGINT,
    p_digest_state BYTEA, p_state BIGINT, p_file_id BIGINT, p_file_digest BYTEA, p_file_created BIGINT,
    p_file_expires BIGINT, p_path TEXT
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM uploads WHERE id = p_id;
    PERFORM discard_upload(p_id);
    INSERT INTO uploads (
        id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, file_id,
        file_digest, file_created, file_expires, path
    ) VALUES (
        p_id, p_owner, p_name, p_temporary, p_expires, 1, p_offset, p_offset, p_digest_state, p_state,
        p_file_id, p_file_digest, p_file_created, p_file_expires, p_path
    );
END $$;

DROP FUNCTION import_tokens;
CREATE FUNCTION import_tokens(
    p_digests BYTEA[], p_names TEXT[], p_scopes TEXT[], p_created BIGINT[], p_expires BIGINT[],
    p_subjects TEXT[]
) RETURNS void LANGUAGE sql AS $$
    DELETE FROM tokens;
    INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject)
        SELECT digest, name, scopes, created, nullif(expires, 0), subject
        FROM unnest(p_digests, p_names, p_scopes, p_created, p_expires, p_subjects)
            AS list (digest, name, scopes, created, expires, subject)
$$;
UPDATE schema_version SET version = 2;
