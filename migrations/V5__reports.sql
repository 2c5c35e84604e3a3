-- Stable columns for BI and audits; the tables behind them may change.

CREATE VIEW report_events AS
SELECT e.id AS event_id, m.slug AS merchant, e.provider, e.kind, e.delivery_key, e.authenticated_by,
       e.received_at, e.recorded_at, e.duplicates, e.conflict
FROM events e JOIN merchants m ON m.id = e.merchant_id;

CREATE VIEW report_payments AS
SELECT p.id AS payment_id, m.slug AS merchant, p.provider, p.money_key, p.checkout_id, p.receipt, p.amount,
       p.currency, p.phone, p.state, p.reason, p.occurred_at, p.recorded_at, p.settled_at
FROM payments p JOIN merchants m ON m.id = p.merchant_id
WHERE p.state <> 'folded';

CREATE VIEW report_invoices AS
SELECT i.id AS invoice_id, i.payment_id, m.slug AS merchant, i.device_id, i.kind, i.state, i.invoice_no, i.attempts,
       i.last_code, i.last_error, i.receipt_no, i.receipt_signature, i.internal_data, i.control_unit_id,
       i.receipt_url, i.created_at, i.issued_at
FROM invoices i JOIN merchants m ON m.id = i.merchant_id;

CREATE VIEW report_transitions AS
SELECT at, subject, subject_id, from_state, to_state, actor, reason, event_id FROM transitions;
