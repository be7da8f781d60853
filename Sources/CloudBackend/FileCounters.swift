// The counters of files and blobs: tables that triggers keep.

/// Counters, so that no number takes a scan. Triggers keep them: no change can forget them.
///
/// A row that everybody changes would let them all wait for each other. Each counter is spread over some rows, of which
/// a connection of the server changes one; what they hold together is the number. Everybody locks in one order: blobs,
/// blob_totals, usage, totals.
enum FileCounters {
    static let versionOne =
        """
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

        """
}
