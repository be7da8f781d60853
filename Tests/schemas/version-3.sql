-- What the third version made of it.
-- What the third version added: the ETags of objects, as the store wrote them, which tell an object from another in its
-- place. NULL where nobody has kept it: the objects of older versions, until they are verified.

-- Who waits for a table lets all others wait behind. Better is to start a node once more.
SET LOCAL lock_timeout = '10s';
ALTER TABLE segments ADD COLUMN etag TEXT COLLATE "C";
ALTER TABLE pieces ADD COLUMN etag TEXT COLLATE "C";
DROP FUNCTION IF EXISTS adopt_content;

-- The time, and ids that are made of it.

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

-- What an upload consists of while it is open.

-- What a writer finds that holds less than it should: a newer claim, whose holder has put away what this one still
-- counted on, or else that bytes are lost.
CREATE OR REPLACE FUNCTION missing_segments(p_upload UUID, p_epoch BIGINT) RETURNS TEXT LANGUAGE sql AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM uploads WHERE id = p_upload AND epoch > p_epoch)
        THEN 'superseded' ELSE 'lost' END
$$;

-- Gets an upload ready to go on at its offset. Tells what is wrong, when it holds less than that.
CREATE OR REPLACE FUNCTION open_upload(p_upload UUID, p_epoch BIGINT, p_offset BIGINT) RETURNS TEXT
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

CREATE OR REPLACE FUNCTION record_segments(
    p_upload UUID, p_epoch BIGINT, p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[], p_etags TEXT[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO segments (upload, epoch, start, size, name, etag)
        SELECT p_upload, p_epoch, * FROM unnest(p_starts, p_sizes, p_names, p_etags)
        ON CONFLICT (upload, start, epoch) DO NOTHING
$$;

-- Of nodes that know no ETags.
CREATE OR REPLACE FUNCTION record_segments(
    p_upload UUID, p_epoch BIGINT, p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[]
) RETURNS void LANGUAGE sql AS $$
    SELECT record_segments(p_upload, p_epoch, p_starts, p_sizes, p_names, '{}')
$$;

CREATE OR REPLACE FUNCTION discard_upload(p_upload UUID) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM segments WHERE upload = p_upload RETURNING name)
    INSERT INTO released (upload, name, since) SELECT p_upload, name, now_ms() FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since
$$;

-- Uploads that have segments, and no row that needs them. Goes from one upload to the next in the index.
CREATE OR REPLACE FUNCTION stray_uploads() RETURNS SETOF UUID LANGUAGE sql STABLE AS $$
    WITH RECURSIVE held AS (
        (SELECT upload FROM segments ORDER BY upload LIMIT 1)
        UNION ALL
        SELECT (SELECT s.upload FROM segments s WHERE s.upload > held.upload ORDER BY s.upload LIMIT 1)
            FROM held WHERE held.upload IS NOT NULL
    )
    SELECT upload FROM held WHERE upload IS NOT NULL
        AND NOT EXISTS (SELECT FROM uploads WHERE id = held.upload AND state = 0)
$$;

-- What a digest consists of: published, live, judged, let go of.

-- Makes an upload's first bytes the content of a digest. Tells what is wrong, when not all of them are held.
CREATE OR REPLACE FUNCTION publish_content(
    p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT,
    p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[], p_etags TEXT[]
) RETURNS TEXT LANGUAGE plpgsql AS $$ DECLARE
    v_content BIGINT;
    v_position BIGINT := 0;
    v_count INTEGER := 0;
    v_segment RECORD;
BEGIN
    PERFORM record_segments(p_upload, p_epoch, p_starts, p_sizes, p_names, p_etags);
    -- What an earlier attempt published, whose completion did not come to pass.
    UPDATE contents SET state = 3, removed = now_ms()
        WHERE upload = p_upload AND digest = p_digest AND state = 0 AND epoch <= p_epoch;
    INSERT INTO contents (digest, size, upload, epoch, created, piece_count)
        VALUES (p_digest, p_size, p_upload, p_epoch, now_ms(), 0) RETURNING id INTO v_content;
    WHILE v_position < p_size LOOP
        -- Locked, so that nobody discards it before this is committed: from then on the pieces keep it.
        SELECT size, name, etag INTO v_segment FROM segments
            WHERE upload = p_upload AND start = v_position AND epoch <= p_epoch
            ORDER BY epoch DESC LIMIT 1 FOR KEY SHARE;
        EXIT WHEN NOT FOUND;
        INSERT INTO pieces (content, start, size, name, etag)
            VALUES (v_content, v_position, v_segment.size, v_segment.name, v_segment.etag);
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

-- Of nodes that know no ETags.
CREATE OR REPLACE FUNCTION publish_content(
    p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT,
    p_starts BIGINT[], p_sizes BIGINT[], p_names TEXT[]
) RETURNS TEXT LANGUAGE sql AS $$
    SELECT publish_content(p_upload, p_epoch, p_digest, p_size, p_starts, p_sizes, p_names, '{}')
$$;

-- Makes what an upload published the live content of its digest, in the transaction that completes the upload and
-- holds the lock of the blob's row. What was live goes, sound or not: the fresh bytes were received and compared just
-- now, and nobody knows what became of the others since they were.
CREATE OR REPLACE FUNCTION adopt_content(p_upload UUID, p_epoch BIGINT, p_digest BYTEA)
RETURNS void LANGUAGE plpgsql AS $$ DECLARE
    v_content BIGINT := (SELECT content FROM uploads WHERE id = p_upload);
BEGIN
    IF v_content IS NULL THEN RETURN; END IF;
    PERFORM FROM contents
        WHERE id = v_content AND state = 0 AND epoch = p_epoch AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'what was published is gone' USING ERRCODE = 'BD001';
    END IF;
    UPDATE contents SET state = 3, removed = now_ms() WHERE digest = p_digest AND state = 1;
    UPDATE contents SET state = 1 WHERE id = v_content;
END $$;

-- Records what is known of a blob's bytes, if they are those of this content (NULL: if it has none), and puts damaged
-- ones into quarantine. Tells whether they are. Whoever completes an upload of the same bytes waits for the blob's
-- row, or is waited for.
CREATE OR REPLACE FUNCTION judge_content(p_digest BYTEA, p_content BIGINT, p_condition BIGINT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
    IF NOT FOUND
        OR (SELECT id FROM contents WHERE digest = p_digest AND state = 1) IS DISTINCT FROM p_content
    THEN
        RETURN false;
    END IF;
    -- A suspicion is nothing new of what is known to be damaged.
    UPDATE blobs SET condition = p_condition
        WHERE digest = p_digest AND condition <> p_condition AND (p_condition <> 1 OR condition <> 2);
    IF p_condition = 2 THEN
        UPDATE contents SET state = 2 WHERE id = p_content;
    END IF;
    RETURN true;
END $$;

-- Lets a blob's content go, in the transaction that removes the blob's row.
CREATE OR REPLACE FUNCTION release_content(p_digest BYTEA) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = 3, removed = now_ms() WHERE digest = p_digest AND state = 1
$$;

-- Removes what is published of a digest and belongs to no blob, unless an open upload is about to be completed
-- with it.
CREATE OR REPLACE FUNCTION remove_content(p_digest BYTEA) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = 3, removed = now_ms() WHERE digest = p_digest AND state = 0
        AND NOT EXISTS (SELECT FROM uploads WHERE id = contents.upload AND content = contents.id AND state = 0)
$$;

-- Making one object of a content's many.

-- A live content of several pieces for this caller to make one of within the lease; each is offered once in it.
-- One that is younger than a minute may be about to go again.
CREATE OR REPLACE FUNCTION take_content_in_pieces(p_lease BIGINT) RETURNS BYTEA LANGUAGE sql AS $$
    UPDATE contents SET leased = now_ms() + p_lease WHERE id = (
        SELECT id FROM contents WHERE state = 1 AND piece_count > 1
            AND created < now_ms() - 60000 AND leased < now_ms()
            ORDER BY created LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING digest
$$;

-- Puts one object in the place of a content's pieces. False when the content is not live any more.
CREATE OR REPLACE FUNCTION replace_pieces(p_content BIGINT, p_name TEXT, p_etag TEXT) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$ DECLARE
    v_content RECORD;
BEGIN
    SELECT upload, size INTO v_content FROM contents WHERE id = p_content AND state = 1 FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    WITH gone AS (DELETE FROM pieces WHERE content = p_content AND name <> p_name RETURNING name)
    INSERT INTO released (upload, name, since) SELECT v_content.upload, name, now_ms() FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since;
    INSERT INTO pieces (content, start, size, name, etag)
        VALUES (p_content, 0, v_content.size, p_name, p_etag) ON CONFLICT (content, start) DO NOTHING;
    UPDATE contents SET piece_count = 1 WHERE id = p_content;
    RETURN true;
END $$;

-- Of nodes that know no ETags.
CREATE OR REPLACE FUNCTION replace_pieces(p_content BIGINT, p_name TEXT) RETURNS BOOLEAN LANGUAGE sql AS $$
    SELECT replace_pieces(p_content, p_name, NULL)
$$;

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

-- The changes of uploads: one call of the server each, and so one transaction.
--
-- Each statement of a function sees what was committed before it, in READ COMMITTED, which is the server's way unless
-- it is told otherwise. So whoever has to look at rows before changing others locks first and looks then. All functions
-- lock in one order: uploads, files by their ids, blobs by their digests, counters. A new file is nobody else's yet.
--
-- `p_now` is the time that a test wants it to be; NULL stands for the database's own.

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
        WHERE NOT EXISTS (SELECT FROM blobs WHERE digest = wanted AND condition = 0)
$$;

-- Makes what an upload published a blob, which dies unless a file comes, and ends the upload. Tells why not.
CREATE OR REPLACE FUNCTION import_blob(p_upload UUID, p_epoch BIGINT, p_digest BYTEA, p_size BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM uploads WHERE id = p_upload AND epoch = p_epoch AND state = 0 FOR UPDATE;
    IF NOT FOUND THEN RETURN 'superseded'; END IF;
    INSERT INTO blobs (digest, size, dying_since) VALUES (p_digest, p_size, now_ms())
        ON CONFLICT (digest) DO NOTHING;
    PERFORM FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
    PERFORM adopt_content(p_upload, p_epoch, p_digest);
    UPDATE blobs SET condition = 0 WHERE digest = p_digest AND condition <> 0;
    DELETE FROM uploads WHERE id = p_upload;
    PERFORM discard_upload(p_upload);
    RETURN NULL;
END $$;

-- Records a blob whose bytes nobody has, so that its files are known.
CREATE OR REPLACE FUNCTION import_damaged_blob(p_digest BYTEA, p_size BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO blobs (digest, size, dying_since, condition) VALUES (p_digest, p_size, now_ms(), 2)
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
    UPDATE blobs SET dying_since = NULL WHERE digest = ANY (p_digests) AND dying_since IS NOT NULL
        AND EXISTS (SELECT FROM files WHERE files.digest = blobs.digest);
    RETURN (SELECT count(*) FROM files WHERE id = ANY (p_ids));
END $$;

-- Records an upload that is over, in the place of what there is of it.
CREATE OR REPLACE FUNCTION import_upload(
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

-- Removes the uploads whose ids are in a stretch and not in a list.
CREATE OR REPLACE FUNCTION keep_uploads(p_after UUID, p_through UUID, p_ids UUID[]) RETURNS void LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION import_tokens(
    p_digests BYTEA[], p_names TEXT[], p_scopes TEXT[], p_created BIGINT[], p_expires BIGINT[],
    p_subjects TEXT[]
) RETURNS void LANGUAGE sql AS $$
    DELETE FROM tokens;
    INSERT INTO tokens (secret_digest, name, scopes, created, expires, subject)
        SELECT digest, name, scopes, created, nullif(expires, 0), subject
        FROM unnest(p_digests, p_names, p_scopes, p_created, p_expires, p_subjects)
            AS list (digest, name, scopes, created, expires, subject)
$$;

-- Gives what was brought to the nodes. Ids of new files come after all that there are.
CREATE OR REPLACE FUNCTION end_import() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM setval('file_moment', greatest(last_value, (SELECT coalesce(max(id) >> 22, 0) + 1 FROM files)))
        FROM file_moment;
    TRUNCATE imported_files;
    DELETE FROM meta WHERE name = 'importing';
END $$;
UPDATE schema_version SET version = 3;
