-- Who we work for: merchants, how their gateways reach us, and the tax devices that file for them.

CREATE TABLE merchants (
    id          uuid PRIMARY KEY,
    slug        text NOT NULL CONSTRAINT merchant_slug_unique UNIQUE
                CONSTRAINT merchant_slug_shape CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name        text NOT NULL CONSTRAINT merchant_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- A webhook's path secret is 128 random bits, so its plain SHA-256 gives nothing away.
CREATE TABLE webhook_secrets (
    id             uuid PRIMARY KEY,
    merchant_id    uuid NOT NULL REFERENCES merchants,
    secret_sha256  bytea NOT NULL CONSTRAINT webhook_secret_unique UNIQUE
                   CONSTRAINT webhook_secret_is_sha256 CHECK (octet_length(secret_sha256) = 32),
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz
);
CREATE INDEX webhook_secrets_of_merchant ON webhook_secrets (merchant_id);

CREATE TABLE provider_accounts (
    id            uuid PRIMARY KEY,
    merchant_id   uuid NOT NULL REFERENCES merchants,
    provider      text NOT NULL CONSTRAINT provider_known CHECK (provider IN ('daraja', 'paystack', 'gumroad')),
    trust_policy  text NOT NULL DEFAULT 'path' CONSTRAINT trust_policy_known CHECK (trust_policy IN ('path')),
    seller_id     text,
    allow_cidrs   text[] NOT NULL DEFAULT '{}',
    enforce_cidr  boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT provider_once_per_merchant UNIQUE (merchant_id, provider),
    CONSTRAINT gumroad_names_its_seller CHECK ((provider = 'gumroad') = (seller_id IS NOT NULL))
);

-- Paystack's signing keys, encrypted; two may be active while one is rolled.
CREATE TABLE provider_keys (
    id          uuid PRIMARY KEY,
    account_id  uuid NOT NULL REFERENCES provider_accounts,
    ciphertext  bytea NOT NULL,
    live        boolean,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX provider_keys_of_account ON provider_keys (account_id);

-- One row, encrypted under the credentials key: proves at boot that the key is the right one (protocol A6).
CREATE TABLE credentials_canary (
    id          int PRIMARY KEY DEFAULT 1 CONSTRAINT one_canary CHECK (id = 1),
    ciphertext  bytea NOT NULL
);

CREATE TABLE devices (
    id                          uuid PRIMARY KEY,
    merchant_id                 uuid NOT NULL REFERENCES merchants,
    environment                 text NOT NULL CONSTRAINT environment_known CHECK (environment IN ('sandbox', 'production')),
    dialect                     text NOT NULL CONSTRAINT dialect_known CHECK (dialect IN ('legacy', 'gateway', 'vscu')),
    base_url                    text NOT NULL,
    portal_url                  text,
    token_url                   text,
    app_id                      text,
    consumer_key                text,
    consumer_secret_ciphertext  bytea,
    pin                         text NOT NULL CONSTRAINT pin_shape CHECK (pin ~ '^[A-Z][0-9]{9}[A-Z]$'),
    branch                      text NOT NULL CONSTRAINT branch_shape CHECK (branch ~ '^[0-9]{2}$'),
    serial                      text NOT NULL CONSTRAINT serial_length CHECK (char_length(serial) BETWEEN 1 AND 100),
    cmc_key_ciphertext          bytea,
    sdc_id                      text,
    item_code                   text NOT NULL,
    item_class                  text NOT NULL,
    item_name                   text NOT NULL,
    tax_type                    text NOT NULL CONSTRAINT tax_type_known CHECK (tax_type IN ('A', 'B', 'C', 'D', 'E')),
    -- Percent by tax type where it differs from KRA's published rate, e.g. {"E": "0"}.
    tax_rates                   jsonb NOT NULL DEFAULT '{}',
    is_default                  boolean NOT NULL DEFAULT false,
    created_at                  timestamptz NOT NULL DEFAULT now(),
    -- A lane is a device; KRA's sequence is per this triple, over all merchants (protocol D1).
    CONSTRAINT device_per_branch_unique UNIQUE (environment, pin, branch),
    CONSTRAINT gateway_has_token CHECK (dialect <> 'gateway' OR (token_url IS NOT NULL AND consumer_key IS NOT NULL
        AND consumer_secret_ciphertext IS NOT NULL AND app_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_default_device_per_merchant ON devices (merchant_id) WHERE is_default;

-- A short code belongs to one merchant (protocol C1).
CREATE TABLE short_codes (
    short_code   text PRIMARY KEY CONSTRAINT short_code_shape CHECK (short_code ~ '^[0-9]{5,10}$'),
    account_id   uuid NOT NULL REFERENCES provider_accounts,
    merchant_id  uuid NOT NULL REFERENCES merchants,
    device_id    uuid REFERENCES devices,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX short_codes_of_merchant ON short_codes (merchant_id);

-- Ingress keeps the directory in memory and refreshes it when told.
CREATE FUNCTION notify_directory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('risiti_directory', TG_TABLE_NAME);
    RETURN NULL;
END $$;

CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON merchants
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON webhook_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON provider_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON provider_keys
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON short_codes
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
CREATE TRIGGER directory_changed AFTER INSERT OR UPDATE OR DELETE ON credentials_canary
    FOR EACH STATEMENT EXECUTE FUNCTION notify_directory();
