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
