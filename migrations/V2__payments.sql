-- What gateways told us, the payments it adds up to, and every move a payment or an invoice makes.

CREATE TABLE events (
    id                uuid PRIMARY KEY,
    merchant_id       uuid NOT NULL REFERENCES merchants,
    provider          text NOT NULL,
    kind              text NOT NULL,
    delivery_key      text NOT NULL,
    facts_sha256      bytea NOT NULL,
    authenticated_by  text NOT NULL,
    received_at       timestamptz NOT NULL,
    recorded_at       timestamptz NOT NULL DEFAULT now(),
    -- W3C trace id of the webhook's request, to follow it from there to its receipt.
    trace_id          text,
    body              bytea NOT NULL,
    duplicates        bigint NOT NULL DEFAULT 0,
    conflict          boolean NOT NULL DEFAULT false,
    payment_id        uuid,
    -- Keys are per merchant and provider (protocol C1).
    CONSTRAINT event_delivered_once UNIQUE (merchant_id, provider, delivery_key)
);
CREATE INDEX events_of_payment ON events (payment_id) WHERE payment_id IS NOT NULL;

-- The same delivery key with other money facts: both bodies are kept and nothing moves (protocol C5).
CREATE TABLE event_conflicts (
    event_id      uuid NOT NULL REFERENCES events,
    facts_sha256  bytea NOT NULL,
    delivered_as  uuid NOT NULL,
    received_at   timestamptz NOT NULL,
    body          bytea NOT NULL,
    PRIMARY KEY (event_id, facts_sha256)
);

CREATE TABLE payments (
    id                uuid PRIMARY KEY,
    merchant_id       uuid NOT NULL REFERENCES merchants,
    provider          text NOT NULL,
    money_key         text,
    checkout_id       text,
    reference         text,
    receipt           text,
    amount            numeric(14, 2) CONSTRAINT amount_not_negative CHECK (amount >= 0),
    currency          text CONSTRAINT currency_shape CHECK (currency ~ '^[A-Z]{3}$'),
    phone             text,
    phone_is_full     boolean NOT NULL DEFAULT false,
    method            text NOT NULL,
    short_code        text,
    authenticated_by  text,
    state             text NOT NULL DEFAULT 'pending'
                      CONSTRAINT payment_state_known CHECK (state IN ('pending', 'success', 'failed', 'reversed', 'folded')),
    reason            text,
    conflict          boolean NOT NULL DEFAULT false,
    folded_into       uuid REFERENCES payments,
    occurred_at       timestamptz,
    recorded_at       timestamptz NOT NULL DEFAULT now(),
    settled_at        timestamptz,
    -- Who moved it last, why, and which event made them: copied into transitions by the trigger below.
    moved_by          text NOT NULL,
    moved_because     text,
    moved_event       uuid,
    CONSTRAINT success_has_money_key CHECK (state NOT IN ('success', 'reversed')
        OR (money_key IS NOT NULL AND authenticated_by IS NOT NULL AND amount IS NOT NULL AND amount > 0 AND currency IS NOT NULL)),
    CONSTRAINT settled_iff_money_moved CHECK ((state IN ('success', 'reversed')) = (settled_at IS NOT NULL)),
    CONSTRAINT folded_iff_folded_into CHECK ((state = 'folded') = (folded_into IS NOT NULL))
);
CREATE UNIQUE INDEX payment_money_key_unique ON payments (merchant_id, provider, money_key)
    WHERE money_key IS NOT NULL AND state <> 'folded';
CREATE UNIQUE INDEX payment_checkout_id_unique ON payments (merchant_id, provider, checkout_id)
    WHERE checkout_id IS NOT NULL AND state <> 'folded';
CREATE INDEX payments_by_reference ON payments (merchant_id, provider, reference) WHERE reference IS NOT NULL;

ALTER TABLE events ADD CONSTRAINT event_of_payment FOREIGN KEY (payment_id) REFERENCES payments;

-- Money going back, in any order with the payment it undoes (protocol C9).
CREATE TABLE reversals (
    id            uuid PRIMARY KEY,
    merchant_id   uuid NOT NULL REFERENCES merchants,
    provider      text NOT NULL,
    reversal_key  text NOT NULL,
    of_money_key  text NOT NULL,
    -- NULL: the whole sale.
    amount        numeric(14, 2) CONSTRAINT reversal_amount_positive CHECK (amount > 0),
    currency      text,
    -- announced: nothing has moved yet; failed: nothing ever did; waiting: for the sale; excess: more than
    -- is left of the sale, or of another currency, a person looks; undone: the money came back.
    state         text NOT NULL CONSTRAINT reversal_state_known
                  CHECK (state IN ('announced', 'failed', 'waiting', 'applied', 'excess', 'undone')),
    -- How much of the sale it took.
    credited      numeric(14, 2) CONSTRAINT credited_positive CHECK (credited > 0),
    payment_id    uuid REFERENCES payments,
    event_id      uuid NOT NULL REFERENCES events,
    occurred_at   timestamptz,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reversal_told_once UNIQUE (merchant_id, provider, reversal_key),
    CONSTRAINT credited_iff_applied CHECK ((state = 'applied') = (credited IS NOT NULL))
);
CREATE INDEX reversals_of_payment ON reversals (merchant_id, provider, of_money_key);

CREATE TABLE transitions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    subject     text NOT NULL CONSTRAINT subject_known CHECK (subject IN ('payment', 'invoice', 'device')),
    subject_id  uuid NOT NULL,
    from_state  text,
    to_state    text NOT NULL,
    actor       text NOT NULL,
    reason      text,
    event_id    uuid
);
CREATE INDEX transitions_of_subject ON transitions (subject_id, id);

CREATE FUNCTION refuse_rewriting_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transitions are append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transitions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting_history();

-- Legal payment moves (protocol C7). A money key and a delivery key are set once.
CREATE FUNCTION guard_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'success'), ('pending', 'failed'), ('pending', 'folded'),
        ('failed', 'success'), ('failed', 'folded'), ('success', 'reversed')
    ) THEN
        RAISE EXCEPTION 'payment cannot move from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_move_legal';
    END IF;
    IF OLD.money_key IS NOT NULL AND NEW.money_key IS DISTINCT FROM OLD.money_key THEN
        RAISE EXCEPTION 'a money key is set once' USING ERRCODE = 'check_violation', CONSTRAINT = 'money_key_set_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION guard_payment();

CREATE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.merchant_id, NEW.provider, NEW.delivery_key, NEW.body) IS DISTINCT FROM
       (OLD.merchant_id, OLD.provider, OLD.delivery_key, OLD.body) THEN
        RAISE EXCEPTION 'an event is evidence and does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'event_is_evidence';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION guard_event();

-- Every change of state leaves a row, whoever makes it: SECURITY DEFINER, so that a program's role
-- needs no right on transitions at all.
CREATE FUNCTION record_transition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
        VALUES (TG_ARGV[0], NEW.id, NULL, NEW.state, NEW.moved_by, NEW.moved_because, NEW.moved_event);
    ELSIF NEW.state <> OLD.state THEN
        INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
        VALUES (TG_ARGV[0], NEW.id, OLD.state, NEW.state, NEW.moved_by, NEW.moved_because, NEW.moved_event);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER recorded AFTER INSERT OR UPDATE ON payments
    FOR EACH ROW EXECUTE FUNCTION record_transition('payment');

-- Messages delivered too often are tried alone, and each try is written down first (protocol C4).
CREATE TABLE suspects (
    event_id   uuid PRIMARY KEY,
    tries      int NOT NULL DEFAULT 0,
    first_at   timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz
);
