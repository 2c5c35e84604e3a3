-- What one merchant's secret or key can do to the books.

-- A digest of the signing key under a key that is derived from the credentials key, so that the same key at two
-- merchants is found without opening all of them. NULL until `provider add` or `keys reencrypt` sees the key next.
ALTER TABLE provider_keys ADD COLUMN fingerprint bytea
    CONSTRAINT fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32);
