-- Dead letters: the truth for looking and filtering; the queue carries the thing itself (protocol E).

CREATE TABLE dead_letters (
    id             uuid PRIMARY KEY,
    cause          text NOT NULL CONSTRAINT cause_known CHECK (cause IN ('refused', 'unreadable', 'exhausted', 'poison')),
    merchant_id    uuid REFERENCES merchants,
    device_id      uuid REFERENCES devices,
    invoice_id     uuid REFERENCES invoices,
    event_id       uuid,
    provider       text,
    -- An unreadable or poison message, as it came: bytes, headers, and how often the same bytes came.
    body           bytea,
    body_sha256    bytea,
    headers        jsonb,
    deliveries     bigint NOT NULL DEFAULT 1,
    code           text,
    message        text,
    attempts       int NOT NULL DEFAULT 0,
    amount         numeric(14, 2),
    currency       text,
    dead_at        timestamptz NOT NULL DEFAULT now(),
    replays        int NOT NULL DEFAULT 0,
    -- The last run that took it up and left it there: a run does not try the same one twice.
    tried_in       uuid,
    -- Set when it left the pile: replayed, adopted, discarded.
    solved_at      timestamptz,
    solved_as      text CONSTRAINT solution_known CHECK (solved_as IN ('replayed', 'adopted', 'discarded')),
    solved_by      text,
    solved_reason  text,
    CONSTRAINT solved_as_something CHECK ((solved_at IS NULL) = (solved_as IS NULL)),
    CONSTRAINT invoice_or_body CHECK ((invoice_id IS NULL) = (body IS NOT NULL))
);
-- One row per invoice, and one per unreadable or poison body (protocol A7, E1).
CREATE UNIQUE INDEX one_dead_letter_per_invoice ON dead_letters (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE UNIQUE INDEX one_dead_letter_per_body ON dead_letters (merchant_id, provider, body_sha256)
    WHERE body_sha256 IS NOT NULL;
CREATE INDEX dead_letters_open ON dead_letters (dead_at) WHERE solved_at IS NULL;

-- Who replayed, discarded or exported what, when, and why.
CREATE TABLE operator_actions (
    id        uuid PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    operator  text NOT NULL,
    command   text NOT NULL,
    reason    text,
    filter    jsonb NOT NULL DEFAULT '{}',
    matched   bigint,
    done      bigint,
    skipped   bigint,
    failed    bigint,
    ended_at  timestamptz
);
