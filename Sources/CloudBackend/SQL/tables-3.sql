-- What the third version added: the ETags of objects, as the store wrote them, which tell an object from another in its
-- place. NULL where nobody has kept it: the objects of older versions, until they are verified.

-- Who waits for a table lets all others wait behind. Better is to start a node once more.
SET LOCAL lock_timeout = '10s';
ALTER TABLE segments ADD COLUMN etag TEXT COLLATE "C";
ALTER TABLE pieces ADD COLUMN etag TEXT COLLATE "C";
DROP FUNCTION IF EXISTS adopt_content;
