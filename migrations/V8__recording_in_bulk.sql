-- Recording many payments at once costs less: what was checked and written row by row is checked and written
-- once a statement. The database refuses what it refused before, and some changes more.

-- The rows of one payment or invoice are always read together, so their key is the one index that is needed.
ALTER TABLE transitions DROP CONSTRAINT transitions_pkey;
DROP INDEX transitions_of_subject;
ALTER TABLE transitions ADD PRIMARY KEY (subject_id, id);

-- One index serves what waits in a lane and what is not filed yet.
DROP INDEX invoices_waiting;
DROP INDEX invoices_not_filed;
CREATE INDEX invoices_not_filed ON invoices (device_id, state, position) WHERE state <> 'success';

-- A payment may be stored in its final state when its first event already names it. It was pending first all
-- the same, and the event moved it: both leave their row. No payment starts as anything else (protocol C7).
CREATE FUNCTION record_new_payments() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    illegal text;
BEGIN
    SELECT n.state INTO illegal FROM new_rows n WHERE n.state NOT IN ('pending', 'success', 'failed') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'payment cannot start as %', illegal
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_move_legal';
    END IF;
    INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
    SELECT 'payment', n.id, NULL, 'pending', n.moved_by,
           CASE WHEN n.state = 'pending' THEN n.moved_because END, n.moved_event
    FROM new_rows n;
    INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
    SELECT 'payment', n.id, 'pending', n.state, n.moved_by, n.moved_because, n.moved_event
    FROM new_rows n WHERE n.state <> 'pending';
    RETURN NULL;
END $$;

CREATE FUNCTION record_new_invoices() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO transitions (subject, subject_id, from_state, to_state, actor, reason, event_id)
    SELECT 'invoice', n.id, NULL, n.state, n.moved_by, n.moved_because, n.moved_event FROM new_rows n;
    RETURN NULL;
END $$;

DROP TRIGGER recorded ON payments;
CREATE TRIGGER recorded AFTER UPDATE ON payments FOR EACH ROW
    WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION record_transition('payment');
CREATE TRIGGER recorded_new AFTER INSERT ON payments REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION record_new_payments();

DROP TRIGGER recorded ON invoices;
CREATE TRIGGER recorded AFTER UPDATE ON invoices FOR EACH ROW
    WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION record_transition('invoice');
CREATE TRIGGER recorded_new AFTER INSERT ON invoices REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION record_new_invoices();

-- What a row belongs to is checked once a statement instead of once a row and a key. A foreign key locks the
-- row it leads to each time. Here a merchant and a device are locked once a statement, so that nobody deletes
-- them meanwhile. Events, payments and invoices are never deleted, so they need no lock.
--
-- Each look-up is a sub-select of one value. A join could be planned while the tables are small, and would then
-- read them whole when they are not.
ALTER TABLE events
    DROP CONSTRAINT events_merchant_id_fkey,
    DROP CONSTRAINT event_of_payment;
ALTER TABLE payments
    DROP CONSTRAINT payments_merchant_id_fkey;
ALTER TABLE invoices
    DROP CONSTRAINT invoices_payment_id_fkey,
    DROP CONSTRAINT invoices_merchant_id_fkey,
    DROP CONSTRAINT invoices_device_id_fkey,
    DROP CONSTRAINT invoices_event_id_fkey;

CREATE FUNCTION refuse_unknown(rule text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not known', what USING ERRCODE = 'foreign_key_violation', CONSTRAINT = rule;
END $$;

CREATE FUNCTION check_new_events() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM merchants m WHERE m.id IN (SELECT n.merchant_id FROM new_rows n) FOR KEY SHARE;
    IF EXISTS (SELECT FROM (SELECT DISTINCT merchant_id FROM new_rows) n
               WHERE (SELECT m.id FROM merchants m WHERE m.id = n.merchant_id) IS NULL) THEN
        PERFORM refuse_unknown('event_of_merchant', 'the merchant of an event');
    END IF;
    IF EXISTS (SELECT FROM new_rows n WHERE n.payment_id IS NOT NULL
               AND (SELECT p.merchant_id FROM payments p WHERE p.id = n.payment_id) IS DISTINCT FROM n.merchant_id) THEN
        PERFORM refuse_unknown('event_of_payment', 'the payment of an event');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER belongs AFTER INSERT ON events REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_events();

CREATE FUNCTION check_event_payment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF (SELECT p.merchant_id FROM payments p WHERE p.id = NEW.payment_id) IS DISTINCT FROM NEW.merchant_id THEN
        PERFORM refuse_unknown('event_of_payment', 'the payment of an event');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER belongs_still AFTER UPDATE OF payment_id ON events FOR EACH ROW
    WHEN (NEW.payment_id IS NOT NULL AND NEW.payment_id IS DISTINCT FROM OLD.payment_id)
    EXECUTE FUNCTION check_event_payment();

CREATE FUNCTION check_new_payments() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM merchants m WHERE m.id IN (SELECT n.merchant_id FROM new_rows n) FOR KEY SHARE;
    IF EXISTS (SELECT FROM (SELECT DISTINCT merchant_id FROM new_rows) n
               WHERE (SELECT m.id FROM merchants m WHERE m.id = n.merchant_id) IS NULL) THEN
        PERFORM refuse_unknown('payment_of_merchant', 'the merchant of a payment');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER belongs AFTER INSERT ON payments REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_payments();

CREATE FUNCTION check_new_invoices() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM devices d WHERE d.id IN (SELECT n.device_id FROM new_rows n) FOR KEY SHARE;
    IF EXISTS (SELECT FROM (SELECT DISTINCT device_id FROM new_rows) n
               WHERE (SELECT d.id FROM devices d WHERE d.id = n.device_id) IS NULL) THEN
        PERFORM refuse_unknown('invoice_of_device', 'the device of an invoice');
    END IF;
    IF EXISTS (SELECT FROM new_rows n
               WHERE (SELECT p.merchant_id FROM payments p WHERE p.id = n.payment_id) IS DISTINCT FROM n.merchant_id) THEN
        PERFORM refuse_unknown('invoice_of_payment', 'the payment of an invoice');
    END IF;
    IF EXISTS (SELECT FROM new_rows n WHERE n.event_id IS NOT NULL
               AND (SELECT e.id FROM events e WHERE e.id = n.event_id) IS NULL) THEN
        PERFORM refuse_unknown('invoice_of_event', 'the event of an invoice');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER belongs AFTER INSERT ON invoices REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION check_new_invoices();

CREATE FUNCTION check_invoice_device() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM FROM devices d WHERE d.id = NEW.device_id FOR KEY SHARE;
    IF NOT FOUND THEN
        PERFORM refuse_unknown('invoice_of_device', 'the device of an invoice');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER belongs_still AFTER UPDATE OF device_id ON invoices FOR EACH ROW
    WHEN (NEW.device_id <> OLD.device_id) EXECUTE FUNCTION check_invoice_device();

-- What a row belongs to does not change. Before, a change had to lead to another row that exists.
CREATE FUNCTION refuse_new_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what a row of % belongs to does not change', TG_TABLE_NAME
        USING ERRCODE = 'check_violation', CONSTRAINT = 'owner_set_once';
END $$;
CREATE TRIGGER owner_set_once BEFORE UPDATE OF id, merchant_id, provider ON payments FOR EACH ROW
    WHEN ((NEW.id, NEW.merchant_id, NEW.provider) IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.provider))
    EXECUTE FUNCTION refuse_new_owner();
CREATE TRIGGER owner_set_once BEFORE UPDATE OF id, merchant_id, payment_id, event_id ON invoices FOR EACH ROW
    WHEN ((NEW.id, NEW.merchant_id, NEW.payment_id, NEW.event_id)
        IS DISTINCT FROM (OLD.id, OLD.merchant_id, OLD.payment_id, OLD.event_id))
    EXECUTE FUNCTION refuse_new_owner();

CREATE FUNCTION refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_deletion();

-- A merchant or a device that something was recorded for stays.
CREATE FUNCTION refuse_deletion_of_owner() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    has_rows boolean;
BEGIN
    IF TG_TABLE_NAME = 'merchants' THEN
        has_rows := EXISTS (SELECT FROM events e WHERE e.merchant_id = OLD.id)
            OR EXISTS (SELECT FROM payments p WHERE p.merchant_id = OLD.id);
    ELSE
        has_rows := EXISTS (SELECT FROM invoices i WHERE i.device_id = OLD.id);
    END IF;
    IF has_rows THEN
        RAISE EXCEPTION 'a row of % that something was recorded for is never deleted', TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'owner_stays';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER owner_stays BEFORE DELETE ON merchants
    FOR EACH ROW EXECUTE FUNCTION refuse_deletion_of_owner();
CREATE TRIGGER owner_stays BEFORE DELETE ON devices
    FOR EACH ROW EXECUTE FUNCTION refuse_deletion_of_owner();

-- The evidence is compared only where a statement names it, so that counting a duplicate reads no body.
DROP TRIGGER guard ON events;
CREATE TRIGGER guard BEFORE UPDATE OF id, merchant_id, provider, delivery_key, body ON events
    FOR EACH ROW EXECUTE FUNCTION guard_event();

-- What runs with its owner's rights finds our tables and no others: a session may put temporary tables of the
-- same names before them unless they are named last.
DO $$
DECLARE
    line text;
BEGIN
    FOR line IN
        SELECT format('ALTER FUNCTION %s SET search_path = %I, pg_temp', p.oid::regprocedure, current_schema())
        FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace AND p.prosecdef
    LOOP
        EXECUTE line;
    END LOOP;
END $$;
