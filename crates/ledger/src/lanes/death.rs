//! An invoice becomes a dead letter and gives its number back, by a worker's decision or by a
//! person's.

use risiti_domain::{DeviceId, InvoiceId, InvoiceState};

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    /// A request that was never answered can still arrive. Its number is therefore looked up again,
    /// 15 minutes and 24 hours after the last such send (protocol D10).
    DEAD = "
        UPDATE invoices i SET state = 'dead', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL,
            refused_at = NULL, strikes = coalesce($4, strikes), rounds = 0,
            stale_submission = (SELECT coalesce(max(s.id), 0) FROM submissions s WHERE s.invoice_id = $1), look_up_no = late.invoice_no,
            look_up_due_at = late.sent_at + interval '15 minutes', look_up_tries = 0,
            moved_by = $5, moved_because = $6, moved_event = NULL
        FROM (VALUES (1)) AS one
        LEFT JOIN LATERAL (
            SELECT s.invoice_no, s.sent_at FROM submissions s
            WHERE s.invoice_id = $1 AND (s.outcome IS NULL OR s.outcome = 'unknown') ORDER BY s.id DESC LIMIT 1
        ) late ON true
        WHERE i.id = $1 AND i.device_id = $2 AND i.state = $3";
}

/// How an invoice died.
pub(crate) struct Death<'a> {
    pub(crate) device: DeviceId,
    /// The state that it has to be in.
    pub(crate) from: InvoiceState,
    /// Its strikes, where they changed.
    pub(crate) strikes: Option<i32>,
    pub(crate) moved_by: &'a str,
    pub(crate) because: &'a str,
}

impl Transaction<'_> {
    /// Moves the invoice to dead, and says whether it was in the expected state.
    pub(crate) async fn write_death(
        &self,
        invoice: InvoiceId,
        death: &Death<'_>,
    ) -> Result<bool, LedgerError> {
        let invoices = self
            .execute(
                DEAD,
                &[
                    &invoice.uuid(),
                    &death.device.uuid(),
                    &death.from.as_str(),
                    &death.strikes,
                    &death.moved_by,
                    &death.because,
                ],
            )
            .await?;
        Ok(invoices == 1)
    }
}
