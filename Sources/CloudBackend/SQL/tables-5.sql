-- What the fifth version added: the beginning of the hour in which a token was last used. NULL where nobody has noted it:
-- older nodes do not.

-- Who waits for a table lets all others wait behind. Better is to start a node once more.
SET LOCAL lock_timeout = '10s';
ALTER TABLE tokens ADD COLUMN last_used BIGINT;
DROP FUNCTION IF EXISTS import_tokens(BYTEA[], TEXT[], TEXT[], BIGINT[], BIGINT[], TEXT[]);
