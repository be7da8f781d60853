-- An empty database as the first version of blobd made it.
CREATE TABLE schema_version (version BIGINT NOT NULL);
INSERT INTO schema_version VALUES (1);
-- Bytes under a name, such as the key of the keyed hashes.
CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);

-- Times are milliseconds since 1970 everywhere, and all nodes take them from here. It is the time at which the
-- statement came in. STABLE lets the server look into an index at it, and know beforehand how much is there.
CREATE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::BIGINT
$$;

CREATE TABLE uploads (
    id UUID PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C",
    temporary BOOLEAN NOT NULL,
    expires BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    announced BIGINT NOT NULL,
    digest_state BYTEA NOT NULL,
    state SMALLINT NOT NULL,  -- 0 open, 1 completed, 2 failed
    -- What a completed upload became: the answer can be repeated even when the file is gone.
    file_id BIGINT,
    file_digest BYTEA,
    file_created BIGINT,
    file_expires BIGINT,
    content BIGINT
);
CREATE INDEX uploads_by_expiry ON uploads (expires);
-- Open uploads are counted by this. An advance leaves it alone, as far as it can.
CREATE INDEX uploads_open ON uploads (owner) WHERE state = 0;

CREATE TABLE blobs (
    digest BYTEA PRIMARY KEY,
    size BIGINT NOT NULL,
    dying_since BIGINT,  -- NULL while a file points at it
    condition SMALLINT NOT NULL DEFAULT 0  -- of its bytes: 0 sound, 1 suspected, 2 damaged
);
CREATE INDEX blobs_by_condition ON blobs (condition) WHERE condition <> 0;
CREATE INDEX blobs_dying ON blobs (dying_since) WHERE dying_since IS NOT NULL;

CREATE TABLE tokens (
    secret_digest BYTEA PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    scopes TEXT NOT NULL,  -- separated by spaces
    created BIGINT NOT NULL,
    expires BIGINT
);
CREATE TABLE files (
    id BIGINT PRIMARY KEY,
    digest BYTEA NOT NULL REFERENCES blobs (digest),
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    temporary BOOLEAN NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT  -- NULL for a permanent file
);
-- A blob's permanent files before its temporary ones, and the oldest first.
CREATE INDEX files_by_digest ON files (digest, temporary, id);
CREATE INDEX files_by_digest_expiry ON files (digest, expires) WHERE expires IS NOT NULL;
CREATE INDEX files_by_expiry ON files (expires, owner) WHERE expires IS NOT NULL;
-- Lists. A descending list is an ascending one read backwards, ties included, so one index serves both. With
-- the expiry, what a page skips is skipped in the index alone.
CREATE INDEX files_by_created ON files (created, id) INCLUDE (expires);
CREATE INDEX files_by_name ON files (name, id) INCLUDE (expires);
CREATE INDEX files_by_size ON files (size, id) INCLUDE (expires);
CREATE INDEX files_of_owner_by_created ON files (owner, created, id) INCLUDE (expires);
CREATE INDEX files_of_owner_by_name ON files (owner, name, id) INCLUDE (expires);
CREATE INDEX files_of_owner_by_size ON files (owner, size, id) INCLUDE (expires);
-- An id is the time in milliseconds since 2018 above 22 bits, and a number in them. The time goes on from the
-- newest of all ids when the clock went back, and when the numbers begin again within it. Sequences are outside
-- of transactions: nobody waits for another here.
CREATE SEQUENCE file_numbers MINVALUE 0 MAXVALUE 4194303 START 0 CYCLE;
CREATE SEQUENCE file_moment MINVALUE 0 MAXVALUE 2199023255551 START 0;
CREATE FUNCTION next_file_id(p_now BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
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
CREATE FUNCTION counter_slot() RETURNS SMALLINT LANGUAGE sql STABLE AS $$
    SELECT (pg_backend_pid() % 32)::SMALLINT
$$;

CREATE TABLE usage (
    owner TEXT COLLATE "C" NOT NULL,
    slot SMALLINT NOT NULL,
    files BIGINT NOT NULL,
    file_bytes BIGINT NOT NULL,
    PRIMARY KEY (owner, slot)
) WITH (fillfactor = 50);
CREATE TABLE totals (slot SMALLINT PRIMARY KEY, files BIGINT NOT NULL DEFAULT 0) WITH (fillfactor = 20);
CREATE TABLE blob_totals (
    slot SMALLINT PRIMARY KEY,
    blobs BIGINT NOT NULL DEFAULT 0,
    blob_bytes BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO totals (slot) SELECT generate_series(0, 31);
INSERT INTO blob_totals (slot) SELECT generate_series(0, 31);

CREATE FUNCTION count_inserted_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS counter (owner, slot, files, file_bytes)
        VALUES (NEW.owner, counter_slot(), 1, NEW.size)
        ON CONFLICT (owner, slot) DO UPDATE
            SET files = counter.files + 1, file_bytes = counter.file_bytes + NEW.size;
    UPDATE totals SET files = files + 1 WHERE slot = counter_slot();
    RETURN NULL;
END $$;
CREATE TRIGGER files_inserted AFTER INSERT ON files
    FOR EACH ROW EXECUTE FUNCTION count_inserted_file();

-- Once for all rows of a statement, in the order of their owners: two statements cannot wait for each other.
CREATE FUNCTION count_deleted_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM gone) THEN RETURN NULL; END IF;
    INSERT INTO usage AS counter (owner, slot, files, file_bytes)
        SELECT owner, counter_slot(), -count(*), -sum(size)::BIGINT FROM gone GROUP BY owner ORDER BY owner
        ON CONFLICT (owner, slot) DO UPDATE
            SET files = counter.files + EXCLUDED.files, file_bytes = counter.file_bytes + EXCLUDED.file_bytes;
    UPDATE totals SET files = files - (SELECT count(*) FROM gone) WHERE slot = counter_slot();
    RETURN NULL;
END $$;
CREATE TRIGGER files_deleted AFTER DELETE ON files REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_files();

CREATE FUNCTION count_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE blob_totals SET blobs = blobs + 1, blob_bytes = blob_bytes + NEW.size
            WHERE slot = counter_slot();
    ELSE
        UPDATE blob_totals SET blobs = blobs - 1, blob_bytes = blob_bytes - OLD.size
            WHERE slot = counter_slot();
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER blobs_counted AFTER INSERT OR DELETE ON blobs
    FOR EACH ROW EXECUTE FUNCTION count_blob();
-- What an upload consists of. A writer that lost its claim may still add rows: where several begin at the same
-- byte, that of the highest epoch counts, because it began where its upload stood when it was claimed.
CREATE TABLE segments (
    upload UUID NOT NULL,
    start BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    size BIGINT NOT NULL CHECK (size > 0),
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (upload, start, epoch)
);

-- The bytes of a digest. One content of a digest is live, when it has a row in blobs; it goes with that row, in
-- the same transaction.
CREATE TABLE contents (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest BYTEA NOT NULL,
    size BIGINT NOT NULL,
    upload UUID NOT NULL,  -- whose objects it consists of
    epoch BIGINT NOT NULL,  -- of the writer that published it
    state SMALLINT NOT NULL DEFAULT 0,  -- 0 published, 1 live, 2 in quarantine, 3 removed
    created BIGINT NOT NULL,
    removed BIGINT,
    piece_count INTEGER NOT NULL,
    leased BIGINT NOT NULL DEFAULT 0  -- until when a node is making one piece of many
);
CREATE INDEX contents_by_digest ON contents (digest);
CREATE INDEX contents_by_upload ON contents (upload);
CREATE UNIQUE INDEX contents_live ON contents (digest) WHERE state = 1;
CREATE INDEX contents_published ON contents (digest, created) WHERE state = 0;
CREATE INDEX contents_in_pieces ON contents (created) WHERE state = 1 AND piece_count > 1;
CREATE INDEX contents_removed ON contents (removed) WHERE state = 3;

CREATE TABLE pieces (
    content BIGINT NOT NULL,
    start BIGINT NOT NULL,
    size BIGINT NOT NULL CHECK (size > 0),
    name TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (content, start)
);

CREATE TABLE released (
    upload UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    leased BIGINT NOT NULL DEFAULT 0,  -- until when a node is about to delete the object
    PRIMARY KEY (upload, name)
);
CREATE INDEX released_by_time ON released (since);
-- What a writer finds that holds less than it should: a newer claim, whose holder has put away what this one still
-- counted on, or else that bytes are lost.
CREATE FUNCTION missing_segments(p_upload UUID, p_epoch BIGINT) RETURNS TEXT LANGUAGE sql AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM uploads WHERE id = p_upload AND epoch > p_epoch)
        THEN 'superseded' ELSE 'lost' END
$$;

-- Gets an upload ready to go on at its offset. Tells what is wrong, when it holds less than that.
CREATE FUNCTION open_upload(p_upload UUID, p_epoch BIGINT, p_offset BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$ BEGIN
    WITH gone AS (
        DELETE FROM segments WHERE upload = p_upload AND start >= p_offset AND epoch <= p_epoch RETURNING name
    )
    INSERT INTO released (upload, name, since) SELECT p_upload, name, now_ms() FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since;
    IF p_offset = 0 OR EXISTS (
        SELECT FROM segments WHERE upload = p_upload AND start < p_offset AND start + size = p_offset
    ) THEN
        RETURN NULL;
    END IF;
    RETURN missing_segments(p_upload, p_epoch);
END $$;

CREATE FUNCTION record_segments(
    p_upload UUID, p_epoch BIGINT, p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO segments (upload, epoch, start, size, name)
        SELECT p_upload, p_epoch, * FROM unnest(p_starts, p_sizes, p_names)
        ON CONFLICT (upload, start, epoch) DO NOTHING
$$;

CREATE FUNCTION discard_upload(p_upload UUID) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM segments WHERE upload = p_upload RETURNING name)
    INSERT INTO released (upload, name, since) SELECT p_upload, name, now_ms() FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since
$$;

-- Uploads that have segments, and no row that needs them. Goes from one upload to the next in the index.
CREATE FUNCTION stray_uploads() RETURNS SETOF UUID LANGUAGE sql STABLE AS $$
    WITH RECURSIVE held AS (
        (SELECT upload FROM segments ORDER BY upload LIMIT 1)
        UNION ALL
        SELECT (SELECT s.upload FROM segments s WHERE s.upload > held.upload ORDER BY s.upload LIMIT 1)
            FROM held WHERE held.upload IS NOT NULL
    )
    SELECT upload FROM held WHERE upload IS NOT NULL
        AND NOT EXISTS (SELECT FROM uploads WHERE id = held.upload AND state = 0)
$$;
-- Makes an upload's first bytes the content of a digest. Tells what is wrong, when not all of them are held.
CREATE FUNCTION publish_content(
    p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT,
    p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[]
) RETURNS TEXT LANGUAGE plpgsql AS $$ DECLARE
    v_content BIGINT;
    v_position BIGINT := 0;
    v_count INTEGER := 0;
    v_segment RECORD;
BEGIN
    PERFORM record_segments(p_upload, p_epoch, p_starts, p_sizes, p_names);
    -- What an earlier attempt published, whose completion did not come to pass.
    UPDATE contents SET state = 3, removed = now_ms()
        WHERE upload = p_upload AND digest = p_digest AND state = 0 AND epoch <= p_epoch;
    INSERT INTO contents (digest, size, upload, epoch, created, piece_count)
        VALUES (p_digest, p_size, p_upload, p_epoch, now_ms(), 0) RETURNING id INTO v_content;
    WHILE v_position < p_size LOOP
        -- Locked, so that nobody discards it before this is committed: from then on the pieces keep it.
        SELECT size, name INTO v_segment FROM segments
            WHERE upload = p_upload AND start = v_position AND epoch <= p_epoch
            ORDER BY epoch DESC LIMIT 1 FOR KEY SHARE;
        EXIT WHEN NOT FOUND;
        INSERT INTO pieces VALUES (v_content, v_position, v_segment.size, v_segment.name);
        v_position := v_position + v_segment.size;
        v_count := v_count + 1;
    END LOOP;
    IF v_position <> p_size THEN
        DELETE FROM pieces WHERE content = v_content;
        DELETE FROM contents WHERE id = v_content;
        RETURN missing_segments(p_upload, p_epoch);
    END IF;
    UPDATE contents SET piece_count = v_count WHERE id = v_content;
    UPDATE uploads SET content = v_content WHERE id = p_upload AND epoch = p_epoch AND state = 0;
    RETURN NULL;
END $$;

-- Makes what an upload published the live content of its digest, in the transaction that completes the upload and
-- holds the lock of the blob's row. A live content whose blob was sound stays what it is.
CREATE FUNCTION adopt_content(p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_was_sound BOOLEAN)
RETURNS void LANGUAGE plpgsql AS $$ DECLARE
    v_content BIGINT := (SELECT content FROM uploads WHERE id = p_upload);
    v_live BIGINT;
BEGIN
    IF v_content IS NULL THEN RETURN; END IF;
    PERFORM FROM contents
        WHERE id = v_content AND state = 0 AND epoch = p_epoch AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'what was published is gone' USING ERRCODE = 'BD001';
    END IF;
    SELECT id INTO v_live FROM contents WHERE digest = p_digest AND state = 1 FOR UPDATE;
    IF v_live IS NULL OR NOT p_was_sound THEN
        UPDATE contents SET state = 3, removed = now_ms() WHERE id = v_live;
        UPDATE contents SET state = 1 WHERE id = v_content;
    ELSE
        UPDATE contents SET state = 3, removed = now_ms() WHERE id = v_content;
    END IF;
END $$;

-- Lets a blob's content go, in the transaction that removes the blob's row.
CREATE FUNCTION release_content(p_digest BYTEA) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = 3, removed = now_ms() WHERE digest = p_digest AND state = 1
$$;

-- Removes what is published of a digest and belongs to no blob, unless an open upload is about to be completed
-- with it.
CREATE FUNCTION remove_content(p_digest BYTEA) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = 3, removed = now_ms() WHERE digest = p_digest AND state = 0
        AND NOT EXISTS (SELECT FROM uploads WHERE id = contents.upload AND content = contents.id AND state = 0)
$$;
-- A live content of several pieces for this caller to make one of within the lease; each is offered once in it.
-- One that is younger than a minute may be about to go again.
CREATE FUNCTION take_content_in_pieces(p_lease BIGINT) RETURNS BYTEA LANGUAGE sql AS $$
    UPDATE contents SET leased = now_ms() + p_lease WHERE id = (
        SELECT id FROM contents WHERE state = 1 AND piece_count > 1
            AND created < now_ms() - 60000 AND leased < now_ms()
            ORDER BY created LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING digest
$$;

-- Puts one object in the place of a content's pieces. False when the content is not live any more.
CREATE FUNCTION replace_pieces(p_content BIGINT, p_name TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$ DECLARE
    v_content RECORD;
BEGIN
    SELECT upload, size INTO v_content FROM contents WHERE id = p_content AND state = 1 FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    WITH gone AS (DELETE FROM pieces WHERE content = p_content AND name <> p_name RETURNING name)
    INSERT INTO released (upload, name, since) SELECT v_content.upload, name, now_ms() FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since;
    INSERT INTO pieces VALUES (p_content, 0, v_content.size, p_name) ON CONFLICT (content, start) DO NOTHING;
    UPDATE contents SET piece_count = 1 WHERE id = p_content;
    RETURN true;
END $$;
-- Whether an object is a part of anything.
CREATE FUNCTION is_needed(p_upload UUID, p_name TEXT) RETURNS BOOLEAN LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM segments WHERE upload = p_upload AND name = p_name)
        OR EXISTS (
            SELECT FROM contents JOIN pieces ON content = id
                WHERE upload = p_upload AND name = p_name
        )
$$;

-- Lets go of contents that were removed so long ago, and removes those that were published a day ago by uploads that
-- are over.
CREATE FUNCTION sweep_contents(p_window BIGINT, p_limit BIGINT) RETURNS BIGINT
LANGUAGE plpgsql AS $$ DECLARE
    v_content RECORD;
    v_count BIGINT := 0;
BEGIN
    UPDATE contents SET state = 3, removed = now_ms() WHERE id IN (
        SELECT id FROM contents c WHERE state = 0 AND created < now_ms() - 86400000
            AND NOT EXISTS (SELECT FROM uploads WHERE id = c.upload AND state = 0 AND content = c.id)
            LIMIT p_limit FOR UPDATE SKIP LOCKED
    );
    FOR v_content IN
        SELECT id, upload, removed FROM contents WHERE state = 3 AND removed <= now_ms() - p_window
            ORDER BY removed LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        INSERT INTO released (upload, name, since)
            SELECT v_content.upload, name, v_content.removed FROM pieces WHERE content = v_content.id
            -- Waits for whoever is about to find that these pieces need it, and to take its row away.
            ON CONFLICT (upload, name) DO UPDATE SET since = released.since;
        DELETE FROM pieces WHERE content = v_content.id;
        DELETE FROM contents WHERE id = v_content.id;
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Objects that were released so long ago, for this caller to delete within the lease. An object that is needed
-- is released no more; whoever needs it releases it again.
CREATE FUNCTION take_released(p_window BIGINT, p_lease BIGINT, p_limit BIGINT)
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

CREATE FUNCTION forget_released(p_uploads UUID[], p_names TEXT[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM released USING unnest(p_uploads, p_names) AS gone (upload, name)
        WHERE released.upload = gone.upload AND released.name = gone.name
$$;

-- Those of some objects that no row speaks of.
CREATE FUNCTION unknown_objects(p_uploads UUID[], p_names TEXT[])
RETURNS TABLE (object_upload UUID, object_name TEXT) LANGUAGE sql STABLE AS $$
    SELECT o.upload, o.name FROM unnest(p_uploads, p_names) AS o (upload, name)
        WHERE NOT is_needed(o.upload, o.name)
            AND NOT EXISTS (SELECT FROM released r WHERE r.upload = o.upload AND r.name = o.name)
$$;
-- Tells how many uploads are open when they are too many, and NULL when the upload is recorded. The limit is
-- looked at in turn only by owners who may come near it. Repeating the call changes nothing.
CREATE FUNCTION create_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_epoch BIGINT,
    p_offset BIGINT, p_announced BIGINT, p_digest_state BYTEA, p_limit BIGINT
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
        (id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state)
        VALUES (
            p_id, p_owner, p_name, p_temporary, p_expires, p_epoch, p_offset, p_announced, p_digest_state, 0
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

-- The upload as it is now: claimed, when it is open.
CREATE FUNCTION claim_upload(p_id UUID, p_now BIGINT) RETURNS SETOF uploads LANGUAGE plpgsql AS $$
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
CREATE FUNCTION upload_refusal(p_id UUID, p_now BIGINT) RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM uploads WHERE id = p_id AND expires > p_now;
    RETURN CASE WHEN FOUND THEN 'superseded' ELSE 'unknown' END;
END $$;

CREATE FUNCTION advance_upload(
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

CREATE FUNCTION complete_upload(
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
    INSERT INTO files (id, digest, owner, name, size, temporary, created, expires)
        VALUES (
            v_upload.file_id, p_digest, v_upload.owner, coalesce(v_upload.name, encode(p_digest, 'hex')),
            p_size, v_upload.temporary, v_now, p_file_expires
        );
    new_file_id := v_upload.file_id;
    completed := v_now;
    RETURN NEXT;
END $$;
-- Whether there was such a file.
CREATE FUNCTION destroy_file(p_id BIGINT, p_owner TEXT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
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
CREATE FUNCTION remove_expired(p_limit BIGINT, p_now BIGINT)
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
CREATE FUNCTION remove_blob(p_digest BYTEA, p_grace BIGINT, p_now BIGINT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM blobs WHERE digest = p_digest AND dying_since <= coalesce(p_now, now_ms()) - p_grace;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM release_content(p_digest);
    RETURN true;
END $$;
-- Files that were brought by a migration that is not over. That one is not over, a row of meta tells: 'importing'.
CREATE TABLE imported_files (id BIGINT PRIMARY KEY);

-- Begins to bring the rows of the server that has this secret, or goes on; tells why not.
CREATE FUNCTION begin_import(p_secret BYTEA) RETURNS TEXT LANGUAGE plpgsql AS $$ BEGIN
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
CREATE FUNCTION missing_blobs(p_digests BYTEA[]) RETURNS SETOF BYTEA LANGUAGE sql STABLE AS $$
    SELECT wanted FROM unnest(p_digests) AS list (wanted)
        WHERE NOT EXISTS (SELECT FROM blobs WHERE digest = wanted AND condition = 0)
$$;

-- Makes what an upload published a blob, which dies unless a file comes, and ends the upload. Tells why not.
CREATE FUNCTION import_blob(p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$ DECLARE
    v_was_sound BOOLEAN;
BEGIN
    PERFORM FROM uploads WHERE id = p_upload AND epoch = p_epoch AND state = 0 FOR UPDATE;
    IF NOT FOUND THEN RETURN 'superseded'; END IF;
    INSERT INTO blobs (digest, size, dying_since) VALUES (p_digest, p_size, now_ms())
        ON CONFLICT (digest) DO NOTHING;
    SELECT condition = 0 INTO v_was_sound FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
    PERFORM adopt_content(p_upload, p_epoch, p_digest, v_was_sound);
    UPDATE blobs SET condition = 0 WHERE digest = p_digest AND condition <> 0;
    DELETE FROM uploads WHERE id = p_upload;
    PERFORM discard_upload(p_upload);
    RETURN NULL;
END $$;

-- Records a blob whose bytes nobody has, so that its files are known.
CREATE FUNCTION import_damaged_blob(p_digest BYTEA, p_size BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO blobs (digest, size, dying_since, condition) VALUES (p_digest, p_size, now_ms(), 2)
        ON CONFLICT (digest) DO NOTHING
$$;

-- Makes the files whose ids are in a stretch those of a list, as far as their blobs are there. Tells how many of
-- the list are there now. An expiry of 0 stands for none, here and below.
CREATE FUNCTION import_files(
    p_after BIGINT, p_through BIGINT, p_ids BIGINT[], p_digests BYTEA[], p_owners TEXT[], p_names TEXT[],
    p_sizes BIGINT[], p_temporary BIGINT[], p_created BIGINT[], p_expires BIGINT[]
) RETURNS BIGINT LANGUAGE plpgsql AS $$ BEGIN
    PERFORM destroy_file(id, NULL, 0) FROM imported_files
        WHERE id > p_after AND id <= p_through AND NOT id = ANY (p_ids);
    DELETE FROM imported_files WHERE id > p_after AND id <= p_through AND NOT id = ANY (p_ids);
    PERFORM FROM blobs WHERE digest = ANY (p_digests) ORDER BY digest FOR NO KEY UPDATE;
    WITH brought AS (
        INSERT INTO files (id, digest, owner, name, size, temporary, created, expires)
            SELECT list.id, digest, owner, name, list.size, temporary = 1, created, nullif(expires, 0)
            FROM unnest(p_ids, p_digests, p_owners, p_names, p_sizes, p_temporary, p_created, p_expires)
                AS list (id, digest, owner, name, size, temporary, created, expires)
            JOIN blobs USING (digest)
            ON CONFLICT (id) DO NOTHING RETURNING id
    )
    INSERT INTO imported_files SELECT id FROM brought ON CONFLICT (id) DO NOTHING;
    UPDATE blobs SET dying_since = NULL WHERE digest = ANY (p_digests) AND dying_since IS NOT NULL
        AND EXISTS (SELECT FROM files WHERE files.digest = blobs.digest);
    RETURN (SELECT count(*) FROM files WHERE id = ANY (p_ids));
END $$;

-- Records an upload that is over, in the place of what there is of it.
CREATE FUNCTION import_upload(
    p_id UUID, p_owner TEXT, p_name TEXT, p_temporary BOOLEAN, p_expires BIGINT, p_offset BIGINT,
    p_digest_state BYTEA, p_state BIGINT, p_file_id BIGINT, p_file_digest BYTEA, p_file_created BIGINT,
    p_file_expires BIGINT
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM uploads WHERE id = p_id;
    PERFORM discard_upload(p_id);
    INSERT INTO uploads (
        id, owner, name, temporary, expires, epoch, byte_offset, announced, digest_state, state, file_id,
        file_digest, file_created, file_expires
    ) VALUES (
        p_id, p_owner, p_name, p_temporary, p_expires, 1, p_offset, p_offset, p_digest_state, p_state,
        p_file_id, p_file_digest, p_file_created, p_file_expires
    );
END $$;

-- Removes the uploads whose ids are in a stretch and not in a list.
CREATE FUNCTION keep_uploads(p_after UUID, p_through UUID, p_ids UUID[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_id UUID;
BEGIN
    FOR v_id IN
        DELETE FROM uploads WHERE (p_after IS NULL OR id > p_after) AND (p_through IS NULL OR id <= p_through)
            AND NOT id = ANY (p_ids) RETURNING id
    LOOP
        PERFORM discard_upload(v_id);
    END LOOP;
END $$;

-- Makes the tokens those of a list.
CREATE FUNCTION import_tokens(
    p_digests BYTEA[], p_names TEXT[], p_scopes TEXT[], p_created BIGINT[], p_expires BIGINT[]
) RETURNS void LANGUAGE sql AS $$
    DELETE FROM tokens;
    INSERT INTO tokens (secret_digest, name, scopes, created, expires)
        SELECT digest, name, scopes, created, nullif(expires, 0)
        FROM unnest(p_digests, p_names, p_scopes, p_created, p_expires)
            AS list (digest, name, scopes, created, expires)
$$;

-- Gives what was brought to the nodes. Ids of new files come after all that there are.
CREATE FUNCTION end_import() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM setval('file_moment', greatest(last_value, (SELECT coalesce(max(id) >> 22, 0) + 1 FROM files)))
        FROM file_moment;
    TRUNCATE imported_files;
    DELETE FROM meta WHERE name = 'importing';
END $$;
INSERT INTO meta VALUES ('secret', decode(repeat('07', 32), 'hex'));
