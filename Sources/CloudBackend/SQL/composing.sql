-- Making one object of a content's many.

-- A live content of several pieces for this caller to make one of within the lease; each is offered once in it.
-- One that is younger than a minute may be about to go again.
CREATE OR REPLACE FUNCTION take_content_in_pieces(p_lease BIGINT) RETURNS BYTEA LANGUAGE sql AS $$
    UPDATE contents SET leased = now_ms() + p_lease WHERE id = (
        SELECT id FROM contents WHERE state = {live} AND piece_count > 1
            AND created < now_ms() - 60000 AND leased < now_ms()
            ORDER BY created LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING digest
$$;

-- Puts one object in the place of a content's pieces. False when the content is not live any more.
CREATE OR REPLACE FUNCTION replace_pieces(p_content BIGINT, p_name TEXT, p_etag TEXT) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$ DECLARE
    v_content RECORD;
BEGIN
    SELECT upload, size INTO v_content FROM contents WHERE id = p_content AND state = {live} FOR UPDATE;
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
