-- Money that goes back, and payments that a person has to look at.

-- The indexes come first. Building them keeps nobody from reading, and the locks of what follows are short.
CREATE INDEX payments_flagged ON payments (recorded_at, id) WHERE conflict AND state <> 'folded';
CREATE INDEX dead_letters_open_messages ON dead_letters (cause, dead_at)
    WHERE solved_at IS NULL AND cause IN ('unreadable', 'poison');

-- A refund is named by its reference, by its id, and by the dispute that it settles.
ALTER TABLE reversals ADD COLUMN other_keys text[] NOT NULL DEFAULT '{}';

-- unstated: part of the money went back, and the message does not say how much. dismissed: a person said that no
-- credit note follows. The rule before allowed fewer states, so old rows need no check.
ALTER TABLE reversals
    DROP CONSTRAINT reversal_state_known,
    ADD CONSTRAINT reversal_state_known CHECK (state IN ('announced', 'failed', 'waiting', 'applied', 'excess',
        'unstated', 'undone', 'dismissed')) NOT VALID;

-- A credit note that was filed before its money came back still takes its part of the sale.
ALTER TABLE reversals
    DROP CONSTRAINT credited_iff_applied,
    ADD CONSTRAINT credited_while_noted CHECK (CASE WHEN state = 'applied' THEN credited IS NOT NULL
        WHEN state IN ('failed', 'undone') THEN true ELSE credited IS NULL END) NOT VALID;

CREATE FUNCTION reversal_is_open(state text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT state IN ('announced', 'waiting', 'excess', 'unstated')
$$;

CREATE OR REPLACE FUNCTION payment_is_closed(payment uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM payments p
        WHERE p.id = payment AND p.state <> 'pending' AND NOT p.conflict
          AND NOT EXISTS (SELECT FROM reversals r
              WHERE r.merchant_id = p.merchant_id AND r.provider = p.provider AND r.of_money_key = p.money_key
                AND reversal_is_open(r.state)))
    AND NOT EXISTS (
        SELECT FROM invoices i LEFT JOIN lanes l ON l.device_id = i.device_id
        WHERE i.payment_id = payment
          AND (i.state NOT IN ('success', 'discarded') OR i.look_up_due_at IS NOT NULL
              OR i.discard_wish IS NOT NULL OR l.halted_at IS NOT NULL));
END $$;

CREATE OR REPLACE FUNCTION event_is_closed(event uuid, payment uuid, flagged boolean) RETURNS boolean LANGUAGE plpgsql
STABLE AS $$
BEGIN
    RETURN NOT flagged
        AND NOT EXISTS (SELECT FROM reversals r WHERE r.event_id = event AND reversal_is_open(r.state))
        AND (payment IS NULL OR payment_is_closed(payment));
END $$;

-- Credit notes never add up to more than their sale, whoever adds them. The sale is locked, so that two that are
-- added at once see each other. What KRA has accepted is recorded all the same.
CREATE FUNCTION check_credit_notes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    sale  uuid := coalesce(NEW.sale_id, NEW.id);
    total numeric;
    noted numeric;
BEGIN
    SELECT s.amount INTO total FROM invoices s WHERE s.id = sale FOR NO KEY UPDATE;
    SELECT sum(n.amount) INTO noted FROM invoices n WHERE n.sale_id = sale AND n.state <> 'discarded';
    IF noted > total THEN
        RAISE EXCEPTION 'credit notes of %, more than their sale of %', noted, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'credit_notes_within_sale';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER credit_notes_within_sale AFTER INSERT ON invoices FOR EACH ROW
    WHEN (NEW.kind = 'credit_note' AND NEW.state <> 'discarded') EXECUTE FUNCTION check_credit_notes();
CREATE TRIGGER credit_notes_still_within_sale AFTER UPDATE OF state, amount, sale_id ON invoices FOR EACH ROW
    WHEN (NEW.amount <> OLD.amount OR NEW.sale_id IS DISTINCT FROM OLD.sale_id
        OR (NEW.kind = 'credit_note' AND OLD.state = 'discarded' AND NEW.state = 'pending'))
    EXECUTE FUNCTION check_credit_notes();

-- The short code that paid, where an organisation did. Money between a merchant's own short codes is no sale.
ALTER TABLE payments ADD COLUMN payer_short_code text;

-- Since when a payment is flagged, whoever flags it.
ALTER TABLE payments ADD COLUMN flagged_at timestamptz;
UPDATE payments SET flagged_at = recorded_at WHERE conflict AND state <> 'folded';

CREATE FUNCTION keep_flag_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.flagged_at := CASE WHEN NEW.conflict THEN coalesce(NEW.flagged_at, now()) END;
    RETURN NEW;
END $$;
CREATE TRIGGER flag_time BEFORE INSERT OR UPDATE OF conflict ON payments FOR EACH ROW
    WHEN (NEW.conflict <> (NEW.flagged_at IS NOT NULL)) EXECUTE FUNCTION keep_flag_time();

-- A flag that ends is a decision about the payment, also where its state stays.
CREATE FUNCTION record_end_of_flag() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
    VALUES ('payment', NEW.id, OLD.state, NEW.state, NEW.moved_by, NEW.moved_because, NEW.moved_event);
    RETURN NULL;
END $$;
CREATE TRIGGER end_of_flag_recorded AFTER UPDATE OF conflict ON payments FOR EACH ROW
    WHEN (OLD.conflict AND NOT NEW.conflict AND OLD.state = NEW.state) EXECUTE FUNCTION record_end_of_flag();

-- A payment is reversed when its money went back. Its reason also tells while KRA has not accepted the credit note,
-- so that nobody takes the one for the other.
CREATE OR REPLACE VIEW report_payments AS
SELECT p.id AS payment_id, m.slug AS merchant, p.provider, p.money_key, p.checkout_id, p.receipt, p.amount,
       p.currency, p.phone, p.state, nullif(concat_ws('; ', p.reason, note.reason), '') AS reason, p.occurred_at,
       p.recorded_at, p.settled_at, p.conflict AS flagged, p.flagged_at,
       (SELECT CASE WHEN bool_or(i.state = 'dead') THEN 'not_accepted'
                    WHEN bool_or(i.state IN ('pending', 'submitting')) THEN 'waiting'
                    WHEN bool_or(i.state = 'success') THEN 'filed'
                    WHEN count(*) > 0 THEN 'discarded' END
        FROM invoices i WHERE i.payment_id = p.id AND i.kind = 'credit_note') AS credit_note_state
FROM payments p JOIN merchants m ON m.id = p.merchant_id
LEFT JOIN LATERAL (
    SELECT concat_ws(': ', CASE WHEN i.state = 'dead' THEN 'KRA has not accepted the credit note'
        ELSE 'the credit note is not filed yet' END, i.last_error) AS reason
    FROM invoices i
    WHERE i.payment_id = p.id AND i.kind = 'credit_note' AND i.state IN ('pending', 'submitting', 'dead')
    ORDER BY i.state = 'dead' DESC, i.id LIMIT 1
) note ON p.state = 'reversed'
WHERE p.state <> 'folded';

-- Money of merchants with a tax device for which no sale is filed, and why.
CREATE VIEW report_income_without_receipt AS
SELECT p.id AS payment_id, m.slug AS merchant, p.provider, p.amount, p.currency, p.receipt, p.state, p.reason,
       p.occurred_at, p.settled_at
FROM payments p JOIN merchants m ON m.id = p.merchant_id
WHERE p.state IN ('success', 'reversed')
  AND EXISTS (SELECT FROM devices d WHERE d.merchant_id = p.merchant_id)
  AND NOT EXISTS (SELECT FROM invoices i WHERE i.payment_id = p.id AND i.kind = 'sale');

-- The rules look at our tables, whatever tables a session puts before them.
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN
        SELECT format('ALTER FUNCTION %s SET search_path = %I, pg_temp', p.oid::regprocedure, current_schema())
        FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
            AND p.proname IN ('payment_is_closed', 'event_is_closed', 'check_credit_notes', 'record_end_of_flag')
    LOOP
        EXECUTE line;
    END LOOP;
END $$;

-- A person settles and dismisses with risiti-replay. risiti-admin only counts what waits for a short code.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_flags;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    PERFORM grant_rights_before_flags(role_name);
    FOREACH line IN ARRAY ARRAY['SELECT ON report_income_without_receipt'] || CASE role_name
        WHEN 'risiti_replay' THEN ARRAY[
            'SELECT ON event_conflicts',
            'UPDATE ON payments, reversals',
            'UPDATE (conflict) ON events',
            'INSERT ON invoices'
        ]
        WHEN 'risiti_admin' THEN ARRAY['SELECT (short_code, reason) ON payments']
        ELSE ARRAY[]::text[]
    END LOOP
        EXECUTE format('GRANT %s TO %I', line, role_name);
    END LOOP;
END $$;
SELECT set_up_roles();
