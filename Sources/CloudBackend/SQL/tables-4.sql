-- What the fourth version added: what files, uploads and what their owners let go of cost of a quota.

-- Who waits for a table lets all others wait behind. Better is to start a node once more.
SET LOCAL lock_timeout = '10s';
-- Nothing changes while it is counted.
LOCK TABLE uploads, files, blobs IN SHARE ROW EXCLUSIVE MODE;

DROP FUNCTION IF EXISTS release_content(BYTEA);

CREATE FUNCTION charge(p_bytes BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (p_bytes + 4095) / 4096 * 4096 + 512
$$;

-- What the row of an upload that is over is held for: a completed one's bytes are its file's.
CREATE FUNCTION charge_of_row(p_state INTEGER, p_offset BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_state WHEN {completed} THEN 512 WHEN {failed} THEN charge(p_offset) ELSE 0 END
$$;

ALTER TABLE usage
    ADD COLUMN charge BIGINT NOT NULL DEFAULT 0,  -- of files
    ADD COLUMN let_go BIGINT NOT NULL DEFAULT 0;  -- of what is still held of files and uploads that are gone
-- Who pays for it while it is held: NULL where nobody does, as for what older nodes let go of.
ALTER TABLE blobs ADD COLUMN let_go_by TEXT COLLATE "C";
ALTER TABLE contents ADD COLUMN let_go_by TEXT COLLATE "C";
ALTER TABLE released ADD COLUMN let_go_by TEXT COLLATE "C", ADD COLUMN size BIGINT;

CREATE OR REPLACE FUNCTION count_inserted_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS counter (owner, slot, files, file_bytes, charge)
        VALUES (NEW.owner, counter_slot(), 1, NEW.size, charge(NEW.size))
        ON CONFLICT (owner, slot) DO UPDATE
            SET files = counter.files + 1, file_bytes = counter.file_bytes + NEW.size,
                charge = counter.charge + EXCLUDED.charge;
    UPDATE totals SET files = files + 1 WHERE slot = counter_slot();
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION count_deleted_files() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM gone) THEN RETURN NULL; END IF;
    INSERT INTO usage AS counter (owner, slot, files, file_bytes, charge)
        SELECT owner, counter_slot(), -count(*), -sum(size)::BIGINT, -sum(charge(size))::BIGINT
            FROM gone GROUP BY owner ORDER BY owner
        ON CONFLICT (owner, slot) DO UPDATE
            SET files = counter.files + EXCLUDED.files, file_bytes = counter.file_bytes + EXCLUDED.file_bytes,
                charge = counter.charge + EXCLUDED.charge;
    UPDATE totals SET files = files - (SELECT count(*) FROM gone) WHERE slot = counter_slot();
    RETURN NULL;
END $$;

-- Adds to what owners pay for, in the order of the owners.
CREATE FUNCTION count_let_go(p_owners TEXT[], p_charges BIGINT[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO usage AS counter (owner, slot, files, file_bytes, let_go)
        SELECT owner, counter_slot(), 0, 0, sum(price)::BIGINT FROM unnest(p_owners, p_charges) AS list (owner, price)
            WHERE owner IS NOT NULL GROUP BY owner ORDER BY owner
        ON CONFLICT (owner, slot) DO UPDATE SET let_go = counter.let_go + EXCLUDED.let_go
$$;

-- A completion counts its upload by itself, when it holds all of its locks.
CREATE FUNCTION count_upload_that_is_over() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_let_go(ARRAY[NEW.owner], ARRAY[charge_of_row(NEW.state, NEW.byte_offset)]);
    RETURN NULL;
END $$;
CREATE TRIGGER uploads_failed AFTER UPDATE OF state ON uploads
    FOR EACH ROW WHEN (OLD.state = {open} AND NEW.state = {failed}) EXECUTE FUNCTION count_upload_that_is_over();
CREATE TRIGGER uploads_imported AFTER INSERT ON uploads
    FOR EACH ROW WHEN (NEW.state <> {open}) EXECUTE FUNCTION count_upload_that_is_over();

-- The objects of an open upload are its owner's to pay for until they are deleted.
CREATE FUNCTION count_deleted_uploads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_let_go(array_agg(owner), array_agg(-charge_of_row(state, byte_offset)))
        FROM gone WHERE state <> {open} HAVING count(*) > 0;
    PERFORM discard_upload(id, owner) FROM gone WHERE state <> {completed} ORDER BY owner;
    RETURN NULL;
END $$;
CREATE TRIGGER uploads_deleted AFTER DELETE ON uploads REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_uploads();

CREATE FUNCTION count_dying_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM count_let_go(ARRAY[OLD.let_go_by], ARRAY[-charge(OLD.size)]);
    ELSE
        PERFORM count_let_go(ARRAY[OLD.let_go_by, NEW.let_go_by], ARRAY[-charge(OLD.size), charge(NEW.size)]);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER blobs_let_go AFTER UPDATE OF let_go_by ON blobs
    FOR EACH ROW WHEN (OLD.let_go_by IS DISTINCT FROM NEW.let_go_by) EXECUTE FUNCTION count_dying_blob();
CREATE TRIGGER dying_blobs_deleted AFTER DELETE ON blobs
    FOR EACH ROW WHEN (OLD.let_go_by IS NOT NULL) EXECUTE FUNCTION count_dying_blob();

-- Contents and objects that nothing speaks of any more wait until no restored database can. Their bytes are paid for, as
-- those of a file, but for the rows: those are nothing that a client can make many of.
CREATE FUNCTION count_removed_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_let_go(ARRAY[NEW.let_go_by], ARRAY[charge(NEW.size) - 512]);
    RETURN NULL;
END $$;
CREATE TRIGGER contents_let_go AFTER UPDATE OF let_go_by ON contents
    FOR EACH ROW WHEN (OLD.let_go_by IS NULL AND NEW.let_go_by IS NOT NULL) EXECUTE FUNCTION count_removed_content();
CREATE TRIGGER released_let_go AFTER INSERT ON released
    FOR EACH ROW WHEN (NEW.let_go_by IS NOT NULL) EXECUTE FUNCTION count_removed_content();

CREATE FUNCTION count_deleted_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_let_go(array_agg(let_go_by), array_agg(512 - charge(size)))
        FROM gone WHERE let_go_by IS NOT NULL HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER contents_deleted AFTER DELETE ON contents REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_bytes();
CREATE TRIGGER released_deleted AFTER DELETE ON released REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_bytes();

INSERT INTO usage AS counter (owner, slot, files, file_bytes, charge, let_go)
    SELECT owner, 0, 0, 0, sum(charge), sum(let_go) FROM (
        SELECT owner, sum(charge(size))::BIGINT AS charge, 0 AS let_go FROM files GROUP BY owner
        UNION ALL SELECT owner, 0, sum(charge_of_row(state, byte_offset))::BIGINT
            FROM uploads WHERE state <> {open} GROUP BY owner
    ) AS counted GROUP BY owner
    ON CONFLICT (owner, slot) DO UPDATE SET charge = EXCLUDED.charge, let_go = EXCLUDED.let_go;
