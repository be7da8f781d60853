-- Filling an empty database with the rows of another server: for `blobd migrate`.
--
-- A migration runs over and over until nothing is left to bring, and from its first run to its last no node serves what
-- it fills. So what it brought and the source no longer has may go again: nobody can have asked for it.

-- Begins to bring the rows of the server that has this secret, or goes on; tells why not.
CREATE OR REPLACE FUNCTION begin_import(p_secret BYTEA) RETURNS TEXT LANGUAGE plpgsql AS $$ BEGIN
    LOCK TABLE meta IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM meta WHERE name = 'importing') THEN
        RETURN CASE WHEN (SELECT value FROM meta WHERE name = 'secret') <> p_secret THEN 'other' END;
    ELSIF (SELECT value FROM meta WHERE name = 'secret') = p_secret THEN
        RETURN 'over';
    ELSIF EXISTS (SELECT FROM files) OR EXISTS (SELECT FROM uploads) OR EXISTS (SELECT FROM tokens) THEN
        RETURN 'used';
    END IF;
    UPDATE meta SET value = p_secret WHERE name = 'secret';
    INSERT INTO meta VALUES ('importing', '');
    RETURN NULL;
END $$;

-- Those of some digests that have no sound blob.
CREATE OR REPLACE FUNCTION missing_blobs(p_digests BYTEA[]) RETURNS SETOF BYTEA LANGUAGE sql STABLE AS $$
    SELECT wanted FROM unnest(p_digests) AS list (wanted)
        WHERE NOT EXISTS (SELECT FROM blobs WHERE digest = wanted AND condition = {sound})
$$;

-- Makes what an upload published a blob, which dies unless a file comes, and ends the upload. Tells why not.
CREATE OR REPLACE FUNCTION import_blob(p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM uploads WHERE id = p_upload AND epoch = p_epoch AND state = {open} FOR UPDATE;
    IF NOT FOUND THEN RETURN 'superseded'; END IF;
    INSERT INTO blobs (digest, size, dying_since) VALUES (p_digest, p_size, now_ms())
        ON CONFLICT (digest) DO NOTHING;
    PERFORM FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
    PERFORM adopt_content(p_upload, p_epoch, p_digest);
    UPDATE blobs SET condition = {sound} WHERE digest = p_digest AND condition <> {sound};
    -- In this order, nobody pays for what the migration itself has left.
    PERFORM discard_upload(p_upload);
    DELETE FROM uploads WHERE id = p_upload;
    RETURN NULL;
END $$;

-- Records a blob whose bytes nobody has, so that its files are known.
CREATE OR REPLACE FUNCTION import_damaged_blob(p_digest BYTEA, p_size BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO blobs (digest, size, dying_since, condition) VALUES (p_digest, p_size, now_ms(), {damaged})
        ON CONFLICT (digest) DO NOTHING
$$;

-- Makes the files whose ids are in a stretch those of a list, as far as their blobs are there. Tells how many of
-- the list are there now. An expiry of 0 and an empty path stand for none, here and below.
CREATE OR REPLACE FUNCTION import_files(
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
    UPDATE blobs SET dying_since = NULL, let_go_by = NULL WHERE digest = ANY (p_digests) AND dying_since IS NOT NULL
        AND EXISTS (SELECT FROM files WHERE files.digest = blobs.digest);
    RETURN (SELECT count(*) FROM files WHERE id = ANY (p_ids));
END $$;

-- Records an upload that is over, in the place of what there is of it.
CREATE OR REPLACE FUNCTION import_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_offset BIGINT,
    p_digest_state BYTEA, p_state BIGINT, p_file_id BIGINT, p_file_digest BYTEA, p_file_created BIGINT,
    p_file_expires BIGINT, p_path TEXT
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM discard_upload(p_id);
    DELETE FROM uploads WHERE id = p_id;
    INSERT INTO uploads (
        id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, file_id,
        file_digest, file_created, file_expires, path
    ) VALUES (
        p_id, p_owner, p_name, p_temporary, p_expires, 1, p_offset, p_offset, p_digest_state, p_state,
        p_file_id, p_file_digest, p_file_created, p_file_expires, p_path
    );
END $$;

-- Removes the uploads whose ids are in a stretch and not in a list.
CREATE OR REPLACE FUNCTION keep_uploads(p_after UUID, p_through UUID, p_ids UUID[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_ids UUID[] := ARRAY(
        SELECT id FROM uploads WHERE (p_after IS NULL OR id > p_after) AND (p_through IS NULL OR id <= p_through)
            AND NOT id = ANY (p_ids) FOR UPDATE
    );
BEGIN
    PERFORM discard_upload(id) FROM unnest(v_ids) AS gone (id);
    DELETE FROM uploads WHERE id = ANY (v_ids);
END $$;

-- Makes the tokens those of a list.
CREATE OR REPLACE FUNCTION import_tokens(
    p_digests BYTEA[], p_names TEXT[], p_scopes TEXT[], p_created BIGINT[], p_expires BIGINT[],
    p_subjects TEXT[], p_last_used BIGINT[]
) RETURNS void LANGUAGE sql AS $$
    DELETE FROM tokens;
    INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject, last_used)
        SELECT digest, name, scopes, created, nullif(expires, 0), subject, nullif(last_used, 0)
        FROM unnest(p_digests, p_names, p_scopes, p_created, p_expires, p_subjects, p_last_used)
            AS list (digest, name, scopes, created, expires, subject, last_used)
$$;

-- Gives what was brought to the nodes. Ids of new files come after all that there are.
CREATE OR REPLACE FUNCTION end_import() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM setval('file_moment', greatest(last_value, (SELECT coalesce(max(id) >> 22, 0) + 1 FROM files)))
        FROM file_moment;
    TRUNCATE imported_files;
    DELETE FROM meta WHERE name = 'importing';
END $$;
