// The tables of the byte store: which objects of the bucket hold which bytes.
//
// An object lives under `segments/<upload>/<name>`, a key that is used once. A row of `segments` makes it a part of an
// upload, a row of `pieces` a part of a content, and it may be both. Objects that are neither wait in `released` until
// no restored database can speak of them any more.

/// The tables as the schema's first step makes them, and the functions as the newest version has them.
enum ContentTables {
    static let functions = uploadFunctions + contentFunctions + composeFunctions + sweepFunctions

    static let versionOne = """
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

        """

    private static let uploadFunctions = """
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

        """

    private static let contentFunctions = """
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
                RAISE EXCEPTION 'what was published is gone' USING ERRCODE = '\(DatabaseErrors.contentGoneState)';
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
            UPDATE blobs SET condition = p_condition WHERE digest = p_digest AND condition <> p_condition;
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

        """

    private static let composeFunctions = """
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

        """

    private static let sweepFunctions = """
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

        """
}
