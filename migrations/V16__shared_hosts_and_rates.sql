-- What all etims-workers know of a KRA host together, and a device's tax rates as KRA lists them.

-- How many calls a worker could make at once. Whoever wants less than its part lends the rest (protocol D5).
ALTER TABLE etims_processes ADD COLUMN wanted int NOT NULL DEFAULT 0
    CONSTRAINT wanted_not_negative CHECK (wanted >= 0);

-- Failures of all workers in a row, and the only lane that failed if there is one (protocol D13).
ALTER TABLE hosts
    ADD COLUMN failures int NOT NULL DEFAULT 0 CONSTRAINT failures_not_negative CHECK (failures >= 0),
    ADD COLUMN failing_lane uuid;

-- Percent by tax type as KRA's code list 04 had it, and when that was read. A rate in tax_rates, which a person
-- set, comes before it.
ALTER TABLE devices
    ADD COLUMN listed_tax_rates jsonb,
    ADD COLUMN tax_rates_listed_at timestamptz,
    ADD CONSTRAINT listed_rates_have_a_date CHECK ((listed_tax_rates IS NULL) = (tax_rates_listed_at IS NULL));
