-- What a person looks up at night: who changed what, and what became of one payment.

-- What a command changed, by field, as {"field": [old, new]}. A secret is only said to be changed.
ALTER TABLE operator_actions ADD COLUMN changes jsonb;
CREATE INDEX operator_actions_by_time ON operator_actions (at, id);

-- A customer of Gumroad names the order, which is stored as the receipt. M-Pesa's receipt and Paystack's
-- reference are money keys, which have an index.
CREATE INDEX payments_by_order_number ON payments (receipt) WHERE provider = 'gumroad';
CREATE INDEX dead_letters_of_event ON dead_letters (event_id) WHERE event_id IS NOT NULL;

-- risiti-admin shows a payment's story and the state of the whole. It reads no phone and no body of it.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_operations;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM grant_rights_before_operations(role_name);
    IF role_name = 'risiti_admin' THEN
        EXECUTE format('GRANT SELECT ON etims_processes, suspects TO %I', role_name);
        EXECUTE format('GRANT SELECT (checkout_id, reference, receipt, amount, currency, method, short_code,
            authenticated_by, reason, folded_into, occurred_at, recorded_at, settled_at) ON payments TO %I', role_name);
    END IF;
END $$;
SELECT set_up_roles();
