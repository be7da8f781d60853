-- What an upload consists of while it is open.

-- What a writer finds that holds less than it should: a newer claim, whose holder has put away what this one still
-- counted on, or else that bytes are lost.
CREATE OR REPLACE FUNCTION missing_segments(p_upload UUID, p_epoch BIGINT) RETURNS TEXT LANGUAGE sql AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM uploads WHERE id = p_upload AND epoch > p_epoch)
        THEN 'superseded' ELSE 'lost' END
$$;

-- Gets an upload ready to go on at its offset. What it holds beyond nobody was told of: its owner pays for that until it is
-- deleted. Tells what is wrong, when it holds less than that.
CREATE OR REPLACE FUNCTION open_upload(p_upload UUID, p_epoch BIGINT, p_offset BIGINT) RETURNS TEXT
LANGUAGE plpgsql AS $$ BEGIN
    WITH gone AS (
        DELETE FROM segments WHERE upload = p_upload AND start >= p_offset AND epoch <= p_epoch RETURNING name, size
    )
    INSERT INTO released (upload, name, since, let_go_by, size)
        SELECT p_upload, name, now_ms(), (SELECT owner FROM uploads WHERE id = p_upload), size FROM gone
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

-- Lets go of what an upload consists of; who pays for it until it is deleted is NULL for nobody. What is a part of a
-- content is paid for with that.
CREATE OR REPLACE FUNCTION discard_upload(p_upload UUID, p_owner TEXT) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM segments WHERE upload = p_upload RETURNING name, size)
    INSERT INTO released (upload, name, since, let_go_by, size)
        SELECT p_upload, gone.name, now_ms(), CASE WHEN NOT EXISTS (
            SELECT FROM contents JOIN pieces ON content = id WHERE upload = p_upload AND pieces.name = gone.name
        ) THEN p_owner END, gone.size FROM gone
        ON CONFLICT (upload, name) DO UPDATE SET since = excluded.since
$$;

CREATE OR REPLACE FUNCTION discard_upload(p_upload UUID) RETURNS void LANGUAGE sql AS $$
    SELECT discard_upload(p_upload, NULL)
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
        AND NOT EXISTS (SELECT FROM uploads WHERE id = held.upload AND state = {open})
$$;
