-- The buyer that an invoice names. KRA lets a buyer claim an expense only if his PIN is on the invoice, and compares a
-- credit note's name and PIN with its sale's.

ALTER TABLE devices ADD COLUMN walk_in_buyer text NOT NULL DEFAULT 'N/A'
    CONSTRAINT walk_in_buyer_fits CHECK (char_length(walk_in_buyer) BETWEEN 1 AND 60);

-- NULL before the first send, unless it is known by then. Invoices from before this migration named the buyer N/A.
ALTER TABLE invoices
    ADD COLUMN buyer_name text CONSTRAINT buyer_name_fits CHECK (char_length(buyer_name) BETWEEN 1 AND 60),
    ADD COLUMN buyer_pin text CONSTRAINT buyer_pin_shaped CHECK (buyer_pin ~ '^[AP][0-9]{9}[A-Z]$'),
    ADD COLUMN trader_invoice_no text
        CONSTRAINT trader_invoice_no_fits CHECK (char_length(trader_invoice_no) BETWEEN 1 AND 50);

-- What KRA may have does not change here. A dead letter is built anew when it is replayed.
CREATE FUNCTION guard_buyer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the buyer of an invoice that KRA may have does not change'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'buyer_set_before_send';
END $$;
CREATE TRIGGER guard_buyer BEFORE UPDATE OF buyer_name, buyer_pin, trader_invoice_no ON invoices FOR EACH ROW
    WHEN (OLD.state IN ('submitting', 'success') AND OLD.buyer_name IS NOT NULL
        AND NEW.state = OLD.state
        AND (NEW.buyer_name, NEW.buyer_pin, NEW.trader_invoice_no)
            IS DISTINCT FROM (OLD.buyer_name, OLD.buyer_pin, OLD.trader_invoice_no))
    EXECUTE FUNCTION guard_buyer();

CREATE OR REPLACE VIEW report_invoices AS
SELECT i.id AS invoice_id, i.payment_id, m.slug AS merchant, i.device_id, i.kind, i.state, i.invoice_no, i.attempts,
       i.last_code, i.last_error, i.receipt_no, i.receipt_signature, i.internal_data, i.control_unit_id,
       i.receipt_url, i.created_at, i.issued_at,
       i.buyer_name, i.buyer_pin, i.trader_invoice_no,
       (SELECT sale.invoice_no FROM invoices sale WHERE sale.id = i.sale_id) AS original_invoice_no
FROM invoices i JOIN merchants m ON m.id = i.merchant_id;

-- A person may name the buyer of a sale before it is filed.
ALTER FUNCTION grant_rights(text) RENAME TO grant_rights_before_buyers;
CREATE FUNCTION grant_rights(role_name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM grant_rights_before_buyers(role_name);
    IF role_name = 'risiti_admin' THEN
        EXECUTE format('GRANT UPDATE (buyer_name, buyer_pin) ON invoices TO %I', role_name);
    END IF;
END $$;
SELECT set_up_roles();
