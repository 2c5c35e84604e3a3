-- A person can get every lane going again, whatever its dialect.

-- 'resolved': nobody answered the send, and a person said later that KRA does not have it.
ALTER TABLE submissions
    DROP CONSTRAINT outcome_known,
    ADD CONSTRAINT outcome_known CHECK (outcome IN ('ok', 'refused', 'unknown', 'not_sent', 'resolved')) NOT VALID;

-- 'set_aside': a person made the invoice a dead letter.
ALTER TABLE dead_letters
    DROP CONSTRAINT cause_known,
    ADD CONSTRAINT cause_known CHECK (cause IN ('refused', 'unreadable', 'exhausted', 'poison', 'set_aside')) NOT VALID;

CREATE OR REPLACE FUNCTION guard_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('pending', 'submitting'), ('pending', 'success'), ('pending', 'discarded'), ('pending', 'dead'),
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

-- Counting starts anew at a lower number only while nobody owns that number or one above it, and no send under one
-- of them waits for its answer.
CREATE OR REPLACE FUNCTION guard_lane() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.next_invoice_no < OLD.next_invoice_no AND (
        EXISTS (SELECT FROM invoices i
            WHERE i.device_id = NEW.device_id AND i.invoice_no >= NEW.next_invoice_no)
        OR EXISTS (SELECT FROM foreign_invoice_numbers f
            WHERE f.device_id = NEW.device_id AND f.invoice_no >= NEW.next_invoice_no)
        OR EXISTS (SELECT FROM submissions s
            WHERE s.device_id = NEW.device_id AND s.invoice_no >= NEW.next_invoice_no
              AND (s.outcome IS NULL OR s.outcome = 'unknown'))) THEN
        RAISE EXCEPTION 'a lane''s next invoice number goes back only over numbers that nobody has'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invoice_no_never_back';
    END IF;
    IF OLD.halted_at IS NOT NULL AND NEW.halted_at IS NULL THEN
        NEW.resumed_at := now();
        NEW.unanswered_since := NULL;
        NEW.deaths_in_row := 0;
    END IF;
    RETURN NEW;
END $$;

-- The command that ends a halt. The reason's words do not tell, because a person may write any.
-- Beside it: when the last halt ended, from which the times before the next halt count, and since when no look-up of
-- the lane's next number was answered.
ALTER TABLE lanes
    ADD COLUMN halt_remedy text
        CONSTRAINT halt_remedy_known CHECK (halt_remedy IN ('device update', 'lanes resolve', 'lanes resume')),
    ADD COLUMN resumed_at timestamptz,
    ADD COLUMN unanswered_since timestamptz,
    -- Invoices that died since KRA last accepted one of the lane, without a clear word about them (protocol D12).
    ADD COLUMN deaths_in_row int NOT NULL DEFAULT 0;
UPDATE lanes SET halt_remedy = CASE
        WHEN halt_reason LIKE '%; ends with: risiti-replay lanes resume)' THEN 'lanes resume'
        WHEN halt_reason LIKE '%`risiti-admin device update %' THEN 'device update'
        WHEN halt_reason LIKE '%`risiti-replay lanes resolve %' THEN 'lanes resolve'
        ELSE 'lanes resume' END
    WHERE halted_at IS NOT NULL;

-- A silent worker may have calls under way for as long as its longest call. Until then its share is not given away.
ALTER TABLE etims_processes ADD COLUMN call_timeout interval NOT NULL DEFAULT interval '60 seconds';

-- How often a late look-up was tried in a row without an answer.
ALTER TABLE invoices ADD COLUMN look_up_tries int NOT NULL DEFAULT 0;

-- Programs run by a person hold a lane while they change it, and say what they know of its sends.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_lane_exits;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    PERFORM grant_rights_before_lane_exits(role_name);
    FOREACH line IN ARRAY CASE role_name
        WHEN 'risiti_replay' THEN ARRAY[
            'INSERT, UPDATE ON lane_leases',
            'UPDATE (outcome) ON submissions'
        ]
        ELSE ARRAY[]::text[]
    END LOOP
        EXECUTE format('GRANT %s TO %I', line, role_name);
    END LOOP;
END $$;
SELECT set_up_roles();
