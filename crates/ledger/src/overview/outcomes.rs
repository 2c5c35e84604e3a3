//! What became of invoices that a person has just replayed.

use serde_json::Value;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// What [`invoice_state`](crate::invoice_state) reads.
    OUTCOMES = "
        SELECT jsonb_strip_nulls(jsonb_build_object('invoice_id', i.id, 'state', i.state,
            'lane_state', lane_state(l.device_id, l.halted_at IS NOT NULL), 'halt_reason', l.halt_reason,
            'next_try', l.retry_at, 'breaker', (SELECT h.breaker FROM hosts h WHERE h.host = l.host),
            'sale_state', (SELECT s.state FROM invoices s WHERE s.id = i.sale_id),
            'merchant', (SELECT m.slug FROM merchants m WHERE m.id = i.merchant_id),
            'amount', i.amount::text, 'currency', i.currency,
            'receipt', (SELECT p.receipt FROM payments p WHERE p.id = i.payment_id),
            'invoice_no', i.invoice_no, 'receipt_no', i.receipt_no, 'receipt_url', i.receipt_url,
            'dead_letter', (SELECT jsonb_build_object('cause', d.cause, 'code', d.code, 'message', d.message,
                    'solved_by', d.solved_by, 'solved_reason', d.solved_reason)
                FROM dead_letters d WHERE d.invoice_id = i.id)))
        FROM invoices i JOIN lanes l ON l.device_id = i.device_id WHERE i.id = ANY($1)
        ORDER BY i.issued_at, i.position";
}

impl Ledger {
    /// Reads where invoices are now.
    pub async fn invoice_outcomes(&self, invoices: &[Uuid]) -> Result<Vec<Value>, LedgerError> {
        let rows = self
            .connection()
            .await?
            .query(OUTCOMES, &[&invoices])
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}
