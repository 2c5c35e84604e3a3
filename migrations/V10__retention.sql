-- Bodies grow with every payment and nothing reads them once a payment is closed. `risiti-admin prune` empties
-- them. The row, a digest of the body and the time stay.

-- New rules are not checked against old rows, because that would read large tables under a lock. Old rows have
-- their bodies.
ALTER TABLE events
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN body_sha256 bytea,
    ADD COLUMN body_removed_at timestamptz,
    ADD CONSTRAINT event_body_or_digest CHECK ((body IS NULL) = (body_removed_at IS NOT NULL)
        AND (body IS NULL) = (body_sha256 IS NOT NULL)) NOT VALID;
ALTER TABLE submissions
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN body_sha256 bytea,
    ADD COLUMN body_removed_at timestamptz,
    ADD CONSTRAINT submission_body_or_digest CHECK ((body IS NULL) = (body_removed_at IS NOT NULL)
        AND (body IS NULL) = (body_sha256 IS NOT NULL)) NOT VALID;
ALTER TABLE dead_letters
    DROP CONSTRAINT invoice_or_body,
    ADD COLUMN body_removed_at timestamptz,
    ADD CONSTRAINT invoice_or_body CHECK ((invoice_id IS NULL) = (body IS NOT NULL OR body_removed_at IS NOT NULL)),
    -- An open dead letter has its body. A replay needs it.
    ADD CONSTRAINT removed_when_solved CHECK (body_removed_at IS NULL
        OR (body IS NULL AND body_sha256 IS NOT NULL AND solved_at IS NOT NULL));

-- No body goes earlier, whatever a command asks for. `docs/operating.md` says where the time comes from.
CREATE FUNCTION body_age_min() RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT interval '180 days' $$;

-- These functions are in plpgsql, which plans each look-up once a session. Planned as part of a statement they could
-- read a large table whole.

-- A payment is closed when no money and no invoice of it can move without something new from outside: it is
-- decided and not flagged, its invoices are filed or discarded, and no reversal of it waits.
CREATE FUNCTION payment_is_closed(payment uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM payments p
        WHERE p.id = payment AND p.state <> 'pending' AND NOT p.conflict
          AND NOT EXISTS (SELECT FROM reversals r
              WHERE r.merchant_id = p.merchant_id AND r.provider = p.provider AND r.of_money_key = p.money_key
                AND r.state IN ('announced', 'waiting', 'excess')))
    AND NOT EXISTS (
        SELECT FROM invoices i LEFT JOIN lanes l ON l.device_id = i.device_id
        WHERE i.payment_id = payment
          AND (i.state NOT IN ('success', 'discarded') OR i.look_up_due_at IS NOT NULL
              OR i.discard_wish IS NOT NULL OR l.halted_at IS NOT NULL));
END $$;

CREATE INDEX reversals_of_event ON reversals (event_id);

CREATE FUNCTION event_is_closed(event uuid, payment uuid, flagged boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT flagged
        AND NOT EXISTS (SELECT FROM reversals r
            WHERE r.event_id = event AND r.state IN ('announced', 'waiting', 'excess'))
        AND (payment IS NULL OR payment_is_closed(payment));
END $$;

-- A discarded invoice may be taken up again. The same bytes are then sent again if an earlier send was never
-- answered, so that all sends of such an invoice stay whole.
CREATE FUNCTION submission_is_closed(invoice uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM invoices i
        WHERE i.id = invoice AND payment_is_closed(i.payment_id)
          AND (i.state = 'success' OR NOT EXISTS (SELECT FROM submissions s
              WHERE s.invoice_id = i.id AND coalesce(s.outcome, 'unknown') = 'unknown')));
END $$;

-- The request that KRA accepted, or may have accepted before a look-up found the invoice under this number.
CREATE FUNCTION submission_is_filed(invoice uuid, no bigint, outcome text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM invoices i WHERE i.id = invoice AND i.state = 'success' AND i.invoice_no = no)
        AND coalesce(outcome, 'unknown') IN ('ok', 'unknown');
END $$;

CREATE FUNCTION refuse_removal(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the body of % is still needed', what
        USING ERRCODE = 'check_violation', CONSTRAINT = 'body_still_needed';
END $$;

CREATE OR REPLACE FUNCTION guard_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.merchant_id, NEW.provider, NEW.delivery_key, NEW.facts_sha256) IS DISTINCT FROM
       (OLD.id, OLD.merchant_id, OLD.provider, OLD.delivery_key, OLD.facts_sha256)
       OR NEW.body IS DISTINCT FROM OLD.body AND (NEW.body IS NULL AND NEW.body_sha256 = sha256(OLD.body)) IS NOT TRUE
       OR NEW.body IS NOT DISTINCT FROM OLD.body AND (NEW.body_sha256, NEW.body_removed_at) IS DISTINCT FROM
          (OLD.body_sha256, OLD.body_removed_at) THEN
        RAISE EXCEPTION 'an event is evidence and does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'event_is_evidence';
    END IF;
    IF NEW.body IS DISTINCT FROM OLD.body AND (OLD.recorded_at > now() - body_age_min()
        OR event_is_closed(OLD.id, OLD.payment_id, OLD.conflict) IS NOT TRUE) THEN
        PERFORM refuse_removal('an event');
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER guard ON events;
CREATE TRIGGER guard BEFORE UPDATE OF id, merchant_id, provider, delivery_key, facts_sha256, body, body_sha256,
    body_removed_at ON events FOR EACH ROW EXECUTE FUNCTION guard_event();

CREATE FUNCTION guard_submission() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.invoice_id, NEW.device_id, NEW.invoice_no) IS DISTINCT FROM
       (OLD.id, OLD.invoice_id, OLD.device_id, OLD.invoice_no)
       OR NEW.body IS DISTINCT FROM OLD.body AND (NEW.body IS NULL AND NEW.body_sha256 = sha256(OLD.body)) IS NOT TRUE
       OR NEW.body IS NOT DISTINCT FROM OLD.body AND (NEW.body_sha256, NEW.body_removed_at) IS DISTINCT FROM
          (OLD.body_sha256, OLD.body_removed_at) THEN
        RAISE EXCEPTION 'what was sent does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'submission_is_evidence';
    END IF;
    IF NEW.body IS DISTINCT FROM OLD.body AND (OLD.sent_at > now() - body_age_min()
        OR submission_is_closed(OLD.invoice_id) IS NOT TRUE) THEN
        PERFORM refuse_removal('a submission');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OF id, invoice_id, device_id, invoice_no, body, body_sha256,
    body_removed_at ON submissions FOR EACH ROW EXECUTE FUNCTION guard_submission();

-- The body may come back: the same bytes were set aside once more, which opens the dead letter again.
CREATE FUNCTION guard_dead_letter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.body_sha256 IS DISTINCT FROM OLD.body_sha256
       OR NEW.body IS NOT NULL AND sha256(NEW.body) IS DISTINCT FROM OLD.body_sha256 THEN
        RAISE EXCEPTION 'a dead letter keeps the bytes that came'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'dead_letter_is_evidence';
    END IF;
    IF NEW.body IS NULL AND OLD.body IS NOT NULL AND (OLD.solved_at < now() - body_age_min()) IS NOT TRUE THEN
        PERFORM refuse_removal('a dead letter');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE OF body, body_sha256, body_removed_at ON dead_letters
    FOR EACH ROW EXECUTE FUNCTION guard_dead_letter();

-- Only risiti-admin removes bodies. The rights before are kept as they are, so that this migration fits behind
-- any other that changes them.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_retention;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    PERFORM grant_rights_before_retention(role_name);
    FOREACH line IN ARRAY CASE role_name
        WHEN 'risiti_ledger_worker' THEN ARRAY[
            'REVOKE UPDATE ON events FROM',
            'GRANT UPDATE (payment_id, conflict, duplicates) ON events TO'
        ]
        WHEN 'risiti_etims_worker' THEN ARRAY[
            'REVOKE UPDATE ON submissions FROM',
            'GRANT UPDATE (outcome, code, message, answered_at) ON submissions TO'
        ]
        WHEN 'risiti_replay' THEN ARRAY['REVOKE UPDATE ON submissions FROM']
        WHEN 'risiti_admin' THEN ARRAY[
            'GRANT SELECT ON events, reversals, dead_letters TO',
            'GRANT SELECT (id, merchant_id, provider, money_key, state, conflict) ON payments TO',
            'GRANT UPDATE (body, body_sha256, body_removed_at) ON events, submissions TO',
            'GRANT UPDATE (body, headers, body_removed_at) ON dead_letters TO'
        ]
        ELSE ARRAY[]::text[]
    END LOOP
        EXECUTE format('%s %I', line, role_name);
    END LOOP;
END $$;
SELECT set_up_roles();

-- The rules look at our tables, whatever tables a session puts before them.
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN
        SELECT format('ALTER FUNCTION %s SET search_path = %I, pg_temp', p.oid::regprocedure, current_schema())
        FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
            AND p.proname IN ('guard_event', 'guard_submission', 'guard_dead_letter', 'payment_is_closed',
                'event_is_closed', 'submission_is_closed', 'submission_is_filed')
    LOOP
        EXECUTE line;
    END LOOP;
END $$;
