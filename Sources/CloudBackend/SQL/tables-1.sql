-- The tables of the first version. Never changed any more.

-- Bytes under a name, such as the key of the keyed hashes.
CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);

-- Numbers in the ids of files, and the newest time that is in one.
CREATE SEQUENCE file_numbers MINVALUE 0 MAXVALUE 4194303 START 0 CYCLE;
CREATE SEQUENCE file_moment MINVALUE 0 MAXVALUE 2199023255551 START 0;

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
CREATE INDEX uploads_open ON uploads (owner) WHERE state = {open};

CREATE TABLE blobs (
    digest BYTEA PRIMARY KEY,
    size BIGINT NOT NULL,
    dying_since BIGINT,  -- NULL while a file points at it
    condition SMALLINT NOT NULL DEFAULT {sound}  -- of its bytes: 0 sound, 1 suspected, 2 damaged
);
CREATE INDEX blobs_by_condition ON blobs (condition) WHERE condition <> {sound};
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

-- Files that were brought by a migration that is not over. That one is not over, a row of meta tells: 'importing'.
CREATE TABLE imported_files (id BIGINT PRIMARY KEY);

-- Counters, so that no number takes a scan. Triggers keep them: no change can forget them.
--
-- A row that everybody changes would let them all wait for each other. Each counter is spread over some rows, of which
-- a connection of the server changes one; what they hold together is the number. Everybody locks in one order: blobs,
-- blob_totals, usage, totals.

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

-- Which objects of the bucket hold which bytes. An object lives under `segments/<upload>/<name>`, a key that is used
-- once. A row of `segments` makes it a part of an upload, a row of `pieces` a part of a content, and it may be both.
-- Objects that are neither wait in `released` until no restored database can speak of them any more.

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
    state SMALLINT NOT NULL DEFAULT {published},  -- 0 published, 1 live, 2 in quarantine, 3 removed
    created BIGINT NOT NULL,
    removed BIGINT,
    piece_count INTEGER NOT NULL,
    leased BIGINT NOT NULL DEFAULT 0  -- until when a node is making one piece of many
);
CREATE INDEX contents_by_digest ON contents (digest);
CREATE INDEX contents_by_upload ON contents (upload);
CREATE UNIQUE INDEX contents_live ON contents (digest) WHERE state = {live};
CREATE INDEX contents_published ON contents (digest, created) WHERE state = {published};
CREATE INDEX contents_in_pieces ON contents (created) WHERE state = {live} AND piece_count > 1;
CREATE INDEX contents_removed ON contents (removed) WHERE state = {removed};

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
