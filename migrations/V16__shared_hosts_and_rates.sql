-- What all etims-workers know of a KRA host together, and a device's tax rates as KRA lists them.

-- How many calls a worker could make at once. Whoever wants less than its part lends the rest (protocol D5).
ALTER TABLE etims_processes ADD COLUMN wanted int NOT NULL DEFAULT 0
    CONSTRAINT wanted_not_negative CHECK (wanted >= 0);

-- Failures of all workers in a row, and the only lane that failed if there is one (protocol D13).
ALTER TABLE hosts
    ADD COLUMN failures int NOT NULL DEFAULT 0 CONSTRAINT failures_not_negative CHECK (failures >= 0),
    ADD COLUMN failing_lane uuid;
