-- What the second version added: the paths of files, and tokens that speak for another subject than their name's. A
-- migration of a version that knows neither must not lose them.

-- Who waits for a table lets all others wait behind. Better is to start a node once more.
SET LOCAL lock_timeout = '10s';
ALTER TABLE uploads ADD COLUMN path TEXT COLLATE "C";  -- where the file lay in its folder
ALTER TABLE files ADD COLUMN path TEXT COLLATE "C";
ALTER TABLE tokens ADD COLUMN subject TEXT COLLATE "C";  -- NULL: that of the token's name
DROP FUNCTION IF EXISTS import_files, import_upload, import_tokens;
