//! All that is known of one payment, for a person to decide by.

use risiti_domain::PaymentId;
use serde_json::Value;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// One JSON object of rows as they are stored, without what could name a payer: phone, checkout
    /// id, delivery keys and bodies. `moved_*` is left out because `transitions` says it better.
    EVIDENCE = "
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'payment', to_jsonb(p) - 'phone' - 'checkout_id' - 'moved_by' - 'moved_because' - 'moved_event'
                || jsonb_build_object('merchant', m.slug),
            'events', (SELECT jsonb_agg(jsonb_build_object('event_id', e.id, 'kind', e.kind,
                    'received_at', e.received_at, 'authenticated_by', e.authenticated_by,
                    'duplicates', e.duplicates, 'flagged', e.conflict,
                    'other_facts', (SELECT count(*) FROM event_conflicts c WHERE c.event_id = e.id)) ORDER BY e.id)
                FROM events e WHERE e.payment_id = p.id),
            'reversals', (SELECT jsonb_agg(jsonb_build_object('key', r.reversal_key, 'amount', r.amount,
                    'currency', r.currency, 'state', r.state, 'credited', r.credited, 'event_id', r.event_id,
                    'occurred_at', r.occurred_at) ORDER BY r.id)
                FROM reversals r WHERE r.merchant_id = p.merchant_id AND r.provider = p.provider
                    AND r.of_money_key = p.money_key),
            'invoices', (SELECT jsonb_agg(jsonb_build_object('invoice_id', i.id, 'kind', i.kind, 'state', i.state,
                    'amount', i.amount, 'invoice_no', i.invoice_no, 'receipt_no', i.receipt_no,
                    'last_code', i.last_code, 'last_error', i.last_error) ORDER BY i.created_at, i.id)
                FROM invoices i WHERE i.payment_id = p.id),
            'transitions', (SELECT jsonb_agg(to_jsonb(t) ORDER BY t.at)
                FROM report_transitions t WHERE t.subject = 'payment' AND t.subject_id = p.id)))
        FROM payments p JOIN merchants m ON m.id = p.merchant_id WHERE p.id = $1";
}

impl Ledger {
    /// Reads one payment, flagged or not, with everything around it: `payment`, `events`,
    /// `reversals`, `invoices` and `transitions`. `None` when there is no such payment.
    pub async fn payment_evidence(&self, id: PaymentId) -> Result<Option<Value>, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_opt(EVIDENCE, &[&id.uuid()])
            .await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }
}
