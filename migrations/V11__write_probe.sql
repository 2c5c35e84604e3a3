-- Whether the database stores rows. A server whose disk is full still answers reads, and it still updates a row
-- in a page that it has. So the probe commits a row, and also writes a temporary file, which takes blocks of the
-- disk and gives them back at once.

CREATE TABLE write_probe (
    one boolean     PRIMARY KEY DEFAULT true CONSTRAINT one_write_probe CHECK (one),
    at  timestamptz NOT NULL DEFAULT now()
);

-- It runs with its owner's rights, so that a program needs none on the table.
CREATE FUNCTION probe_writes() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET work_mem = '64kB' AS $$
BEGIN
    INSERT INTO write_probe DEFAULT VALUES ON CONFLICT (one) DO UPDATE SET at = excluded.at;
    -- The rows are a few hundred kilobytes, more than the memory they may use here.
    PERFORM count(*) FROM generate_series(1, 10000);
END $$;

DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION probe_writes() SET search_path = %I, pg_temp', current_schema());
END $$;
