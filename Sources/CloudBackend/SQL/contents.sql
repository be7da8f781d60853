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
    UPDATE contents SET state = {removed}, removed = now_ms()
        WHERE upload = p_upload AND digest = p_digest AND state = {published} AND epoch <= p_epoch;
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
    UPDATE uploads SET content = v_content WHERE id = p_upload AND epoch = p_epoch AND state = {open};
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
-- now, and nobody knows what became of the others since they were. It is held for a while: whoever sent the same again
-- pays for that.
CREATE OR REPLACE FUNCTION adopt_content(p_upload UUID, p_epoch BIGINT, p_digest BYTEA)
RETURNS void LANGUAGE plpgsql AS $$ DECLARE
    v_content BIGINT := (SELECT content FROM uploads WHERE id = p_upload);
BEGIN
    IF v_content IS NULL THEN RETURN; END IF;
    PERFORM FROM contents
        WHERE id = v_content AND state = {published} AND epoch = p_epoch AND digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'what was published is gone' USING ERRCODE = 'BD001';
    END IF;
    UPDATE contents SET state = {removed}, removed = now_ms(),
        let_go_by = (SELECT owner FROM uploads WHERE id = p_upload) WHERE digest = p_digest AND state = {live};
    UPDATE contents SET state = {live} WHERE id = v_content;
END $$;

-- Records what is known of a blob's bytes, if they are those of this content (NULL: if it has none), and puts damaged
-- ones into quarantine. Tells whether they are. Whoever completes an upload of the same bytes waits for the blob's
-- row, or is waited for.
CREATE OR REPLACE FUNCTION judge_content(p_digest BYTEA, p_content BIGINT, p_condition BIGINT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$ BEGIN
    PERFORM FROM blobs WHERE digest = p_digest FOR NO KEY UPDATE;
    IF NOT FOUND
        OR (SELECT id FROM contents WHERE digest = p_digest AND state = {live}) IS DISTINCT FROM p_content
    THEN
        RETURN false;
    END IF;
    -- A suspicion is nothing new of what is known to be damaged.
    UPDATE blobs SET condition = p_condition
        WHERE digest = p_digest AND condition <> p_condition AND (p_condition <> {suspected} OR condition <> {damaged});
    IF p_condition = {damaged} THEN
        UPDATE contents SET state = {quarantined} WHERE id = p_content;
    END IF;
    RETURN true;
END $$;

-- Lets a blob's content go, in the transaction that removes the blob's row; who pays for it until it is deleted is NULL for
-- nobody.
CREATE OR REPLACE FUNCTION release_content(p_digest BYTEA, p_owner TEXT) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = {removed}, removed = now_ms(), let_go_by = p_owner
        WHERE digest = p_digest AND state = {live}
$$;

-- Removes what is published of a digest and belongs to no blob, unless an open upload is about to be completed
-- with it.
CREATE OR REPLACE FUNCTION remove_content(p_digest BYTEA) RETURNS void LANGUAGE sql AS $$
    UPDATE contents SET state = {removed}, removed = now_ms() WHERE digest = p_digest AND state = {published}
        AND NOT EXISTS (SELECT FROM uploads WHERE id = contents.upload AND content = contents.id AND state = {open})
$$;
