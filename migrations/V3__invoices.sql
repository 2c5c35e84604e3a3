-- Tax invoices, the lanes they travel in, and what the workers that file them know together.

CREATE TABLE lanes (
    device_id        uuid PRIMARY KEY REFERENCES devices,
    -- Scheme, host and port of the device's base URL: the cap and the breaker hold per host.
    host             text NOT NULL,
    -- Passes n only when the database knows who owns n, or a person said so (protocol D11).
    next_invoice_no  bigint NOT NULL DEFAULT 1 CONSTRAINT invoice_no_from_one CHECK (next_invoice_no >= 1),
    halted_at        timestamptz,
    halt_reason      text,
    retry_at         timestamptz,
    retry_step       int NOT NULL DEFAULT 0,
    token_at         timestamptz,
    last_outcome     text,
    last_call_at     timestamptz,
    moved_by         text NOT NULL DEFAULT 'migrate',
    -- Why a person let a halted lane go on; of a halt, halt_reason tells.
    moved_because    text,
    CONSTRAINT halted_for_a_reason CHECK ((halted_at IS NULL) = (halt_reason IS NULL))
);

-- Apart from lanes and devices, so that renewing a lease locks nothing else (protocol D1).
CREATE TABLE lane_leases (
    device_id    uuid PRIMARY KEY REFERENCES devices,
    claim_id     uuid NOT NULL,
    worker_id    uuid NOT NULL,
    lease_until  timestamptz NOT NULL
);

CREATE SEQUENCE lane_position;

CREATE TABLE invoices (
    id                   uuid PRIMARY KEY,
    payment_id           uuid NOT NULL REFERENCES payments,
    merchant_id          uuid NOT NULL REFERENCES merchants,
    device_id            uuid NOT NULL REFERENCES devices,
    kind                 text NOT NULL CONSTRAINT invoice_kind_known CHECK (kind IN ('sale', 'credit_note')),
    state                text NOT NULL DEFAULT 'pending' CONSTRAINT invoice_state_known
                         CHECK (state IN ('pending', 'submitting', 'success', 'dead', 'discarded')),
    amount               numeric(14, 2) NOT NULL CONSTRAINT invoice_amount_positive CHECK (amount > 0),
    currency             text NOT NULL DEFAULT 'KES' CONSTRAINT invoice_in_kes CHECK (currency = 'KES'),
    -- The event that made it owed.
    event_id             uuid REFERENCES events,
    -- A credit note's sale, and the reversal it answers.
    sale_id              uuid REFERENCES invoices,
    reversal_id          uuid REFERENCES reversals CONSTRAINT one_credit_note_per_reversal UNIQUE,
    -- Order within the lane; an invoice that steps aside takes a new one (protocol D12).
    position             bigint NOT NULL DEFAULT nextval('lane_position'),
    invoice_no           bigint CONSTRAINT invoice_no_positive CHECK (invoice_no >= 1),
    attempts             int NOT NULL DEFAULT 0,
    strikes              int NOT NULL DEFAULT 0,
    -- The last strike, or the first failure: the next strike needs a sale the host took since.
    strike_mark          timestamptz,
    rounds               int NOT NULL DEFAULT 0,
    first_sent_at        timestamptz,
    unknown_since        timestamptz,
    hidden_since         timestamptz,
    -- A refusal that is not acted on yet: a look-up or the dead letter's publish comes first.
    refused_at           timestamptz,
    -- Look-ups that stay due after an invoice ended dead with an unknown send behind it (protocol D10).
    look_up_due_at       timestamptz,
    look_up_no           bigint,
    discard_wish         text,
    -- No body up to this submission is sent again: the invoice died since, and what it is made of may be mended.
    stale_submission     bigint NOT NULL DEFAULT 0,
    last_code            text,
    last_error           text,
    receipt_no           bigint,
    total_receipt_no     bigint,
    receipt_signature    text,
    internal_data        text,
    control_unit_id      text,
    receipt_url          text,
    issued_at            timestamptz,
    created_at           timestamptz NOT NULL DEFAULT now(),
    moved_by             text NOT NULL,
    moved_because        text,
    moved_event          uuid,
    CONSTRAINT number_held_iff_out CHECK ((state IN ('submitting', 'success')) = (invoice_no IS NOT NULL)),
    CONSTRAINT success_has_receipt CHECK ((state = 'success') = (receipt_no IS NOT NULL)),
    CONSTRAINT look_up_knows_its_number CHECK (look_up_due_at IS NULL OR look_up_no IS NOT NULL),
    CONSTRAINT credit_note_has_sale CHECK ((kind = 'credit_note') = (sale_id IS NOT NULL)),
    CONSTRAINT credit_note_has_reversal CHECK ((kind = 'credit_note') = (reversal_id IS NOT NULL))
);
CREATE UNIQUE INDEX one_sale_per_payment ON invoices (payment_id) WHERE kind = 'sale';
CREATE UNIQUE INDEX one_invoice_per_number ON invoices (device_id, invoice_no) WHERE invoice_no IS NOT NULL;
CREATE UNIQUE INDEX one_submitting_per_lane ON invoices (device_id) WHERE state = 'submitting';
CREATE INDEX invoices_waiting ON invoices (device_id, position) WHERE state = 'pending';
CREATE INDEX invoices_to_look_up ON invoices (device_id, look_up_due_at) WHERE look_up_due_at IS NOT NULL;
CREATE INDEX credit_notes_of_sale ON invoices (sale_id) WHERE sale_id IS NOT NULL;
CREATE INDEX invoices_of_payment ON invoices (payment_id);

-- One row per send; the body is built once per number and sent again byte for byte (protocol D6).
CREATE TABLE submissions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id   uuid NOT NULL REFERENCES invoices,
    device_id    uuid NOT NULL REFERENCES devices,
    invoice_no   bigint NOT NULL,
    claim_id     uuid NOT NULL,
    body         bytea NOT NULL,
    sent_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- NULL until answered: a send whose worker died counts as unknown (protocol D7).
    outcome      text CONSTRAINT outcome_known CHECK (outcome IN ('ok', 'refused', 'unknown', 'not_sent')),
    code         text,
    message      text,
    answered_at  timestamptz
);
CREATE INDEX submissions_of_invoice ON submissions (invoice_id, invoice_no, id);
CREATE INDEX submissions_of_number ON submissions (device_id, invoice_no);
-- The proof behind a strike (protocol D12).
CREATE INDEX submissions_accepted ON submissions (device_id, sent_at) WHERE outcome = 'ok';

-- Numbers a person declared taken by somebody else (`risiti-replay lanes resolve --taken-elsewhere`).
CREATE TABLE foreign_invoice_numbers (
    device_id    uuid NOT NULL REFERENCES devices,
    invoice_no   bigint NOT NULL,
    operator     text NOT NULL,
    reason       text NOT NULL,
    resolved_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device_id, invoice_no)
);

-- When a lane has work (protocol D2): a number is out, an eligible invoice waits, or a look-up is due.
CREATE FUNCTION lane_has_work(device uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.state = 'submitting')
        OR EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.state = 'pending' AND (i.kind = 'sale'
            OR EXISTS (SELECT FROM invoices s WHERE s.id = i.sale_id AND s.state = 'success')))
        OR EXISTS (SELECT FROM invoices i WHERE i.device_id = device AND i.look_up_due_at <= now())
$$;

-- One row per KRA host: its breaker, shared by all workers (protocol D13).
CREATE TABLE hosts (
    host            text PRIMARY KEY,
    breaker         text NOT NULL DEFAULT 'closed' CONSTRAINT breaker_known CHECK (breaker IN ('closed', 'trying', 'open')),
    opened_at       timestamptz,
    retry_at        timestamptz,
    retry_step      int NOT NULL DEFAULT 0,
    trial_by        uuid,
    trial_until     timestamptz,
    last_answer_at  timestamptz
);

CREATE FUNCTION know_host() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO hosts (host) VALUES (NEW.host) ON CONFLICT (host) DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER host_known AFTER INSERT OR UPDATE OF host ON lanes FOR EACH ROW EXECUTE FUNCTION know_host();

-- The cap of calls in flight per host, shared out among live workers (protocol D5).
CREATE TABLE etims_processes (
    process_id    uuid NOT NULL,
    host          text NOT NULL,
    share         int NOT NULL CONSTRAINT share_not_negative CHECK (share >= 0),
    heartbeat_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (process_id, host)
);

CREATE FUNCTION guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'submitting'), ('pending', 'success'), ('pending', 'discarded'),
        ('submitting', 'success'), ('submitting', 'pending'), ('submitting', 'dead'),
        ('dead', 'pending'), ('dead', 'success'), ('dead', 'discarded'),
        ('discarded', 'success'), ('discarded', 'pending')
    ) THEN
        RAISE EXCEPTION 'invoice cannot move from % to %', OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_move_legal';
    END IF;
    IF OLD.state = 'success' AND (NEW.receipt_no, NEW.invoice_no, NEW.receipt_signature)
        IS DISTINCT FROM (OLD.receipt_no, OLD.invoice_no, OLD.receipt_signature) THEN
        RAISE EXCEPTION 'an issued receipt does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'receipt_issued_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION guard_invoice();
CREATE TRIGGER recorded AFTER INSERT OR UPDATE ON invoices
    FOR EACH ROW EXECUTE FUNCTION record_transition('invoice');

CREATE FUNCTION guard_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Before the first use of a number a person may correct where the counting starts.
    IF NEW.next_invoice_no < OLD.next_invoice_no THEN
        IF EXISTS (SELECT FROM submissions s WHERE s.device_id = NEW.device_id)
            OR EXISTS (SELECT FROM foreign_invoice_numbers f WHERE f.device_id = NEW.device_id) THEN
            RAISE EXCEPTION 'a lane''s next invoice number never goes back'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_no_never_back';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON lanes FOR EACH ROW EXECUTE FUNCTION guard_lane();

-- What a lane is doing, in the words of `lanes list`: busy while a worker holds the lease, waiting when there is
-- work and nobody on it, because of a back-off, an open breaker, or a token on its way.
CREATE FUNCTION lane_state(device uuid, halted boolean) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN halted THEN 'halted'
                WHEN EXISTS (SELECT FROM lane_leases x WHERE x.device_id = device AND x.lease_until > now()) THEN 'busy'
                WHEN lane_has_work(device) THEN 'waiting'
                ELSE 'idle' END
$$;

CREATE FUNCTION record_lane_transition() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
BEGIN
    IF (NEW.halted_at IS NULL) <> (OLD.halted_at IS NULL) THEN
        INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason)
        VALUES ('device', NEW.device_id,
                lane_state(NEW.device_id, OLD.halted_at IS NOT NULL),
                lane_state(NEW.device_id, NEW.halted_at IS NOT NULL),
                NEW.moved_by, coalesce(NEW.halt_reason, NEW.moved_because));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER recorded AFTER UPDATE ON lanes FOR EACH ROW EXECUTE FUNCTION record_lane_transition();
