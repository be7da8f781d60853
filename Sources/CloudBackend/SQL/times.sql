-- The time, and ids that are made of it.

-- Times are milliseconds since 1970 everywhere, and all nodes take them from here. It is the time at which the
-- statement came in. STABLE lets the server look into an index at it, and know beforehand how much is there.
CREATE OR REPLACE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::BIGINT
$$;

-- An id is the time in milliseconds since 2018 above 22 bits, and a number in them. The time goes on from the
-- newest of all ids when the clock went back, and when the numbers begin again within it. Sequences are outside
-- of transactions: nobody waits for another here.
CREATE OR REPLACE FUNCTION next_file_id(p_now BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    v_number BIGINT := nextval('file_numbers');
    v_moment BIGINT := least(greatest(p_now, 1514764800000) - 1514764800000, 2199023255550);
    v_last BIGINT;
BEGIN
    SELECT last_value INTO v_last FROM file_moment;
    IF v_moment <= v_last THEN
        v_moment := v_last + CASE v_number WHEN 0 THEN 1 ELSE 0 END;
    END IF;
    IF v_moment > v_last THEN
        PERFORM setval('file_moment', greatest(v_moment, last_value)) FROM file_moment;
    END IF;
    RETURN v_moment << 22 | v_number;
END $$;
