-- What one merchant's secret or key can do to the books.

-- The largest amount of one payment that counts without a person. M-Pesa carries KES 250,000 in one transaction, and
-- a card of Paystack's more. Ten million is above any of them and far below what a forged message could claim.
ALTER TABLE merchants ADD COLUMN amount_max numeric(14, 2) NOT NULL DEFAULT 10000000
    CONSTRAINT amount_max_positive CHECK (amount_max > 0);

-- A digest of the signing key under a key that is derived from the credentials key, so that the same key at two
-- merchants is found without opening all of them. NULL until `provider add` or `keys reencrypt` sees the key next.
ALTER TABLE provider_keys ADD COLUMN fingerprint bytea
    CONSTRAINT fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32);
