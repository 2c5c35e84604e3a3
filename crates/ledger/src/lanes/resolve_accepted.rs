//! A person gives an invoice the receipt that KRA's portal shows (protocol D11).

use risiti_domain::{DeviceId, InvoiceId};
use uuid::Uuid;

use crate::OperatorAction;
use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::lanes::halt_by_hand::LaneRefusal;

statements! {
    /// The last invoice of the same kind before a number, with its receipt.
    BEFORE = "
        SELECT b.invoice_no, b.receipt_no FROM invoices b
        WHERE b.device_id = $1 AND b.invoice_no < $2 AND b.state = 'success'
          AND b.kind = (SELECT i.kind FROM invoices i WHERE i.id = $3)
        ORDER BY b.invoice_no DESC LIMIT 1";
    /// The invoices that were sent under the number and have no receipt under another.
    SENT = "
        SELECT i.id, i.state FROM invoices i
        WHERE i.device_id = $1 AND (i.state <> 'success' OR i.invoice_no = $2)
          AND i.id IN (SELECT s.invoice_id FROM submissions s WHERE s.device_id = $1 AND s.invoice_no = $2)
        ORDER BY i.id FOR UPDATE";
    ACCEPT = "
        UPDATE invoices SET state = 'success', invoice_no = $2, receipt_no = $3, receipt_signature = $4,
            internal_data = $5, issued_at = now(), unknown_since = NULL, hidden_since = NULL, refused_at = NULL,
            look_up_due_at = NULL, look_up_no = NULL, discard_wish = NULL, last_code = NULL, last_error = NULL,
            moved_by = $6, moved_because = $7, moved_event = NULL
        WHERE id = $1 AND state <> 'success'";
    SOLVE_DEAD_LETTER = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'adopted', solved_by = $2, solved_reason = $3
        WHERE invoice_id = $1 AND (solved_at IS NULL OR solved_as = 'discarded')";
    /// Credit notes that were discarded with their sale are pending again with it (protocol C9).
    REVIVE_CREDIT_NOTES = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), moved_by = $2,
            moved_because = 'its sale was filed after all', moved_event = NULL
        WHERE sale_id = $1 AND state = 'discarded' AND moved_because = 'its sale was discarded'";
}

/// A receipt as a person reads it on KRA's portal.
#[derive(Clone, Debug)]
pub struct EnteredReceipt {
    /// The invoice that KRA has. It is needed when several were sent under the number.
    pub invoice: Option<InvoiceId>,
    pub receipt_no: i64,
    pub signature: Option<String>,
    pub internal_data: Option<String>,
}

impl Transaction<'_> {
    /// Why the receipt number does not fit those before it, if it does not. KRA counts the receipts
    /// of a kind up by one, so that a number adds one receipt at most.
    pub(crate) async fn receipt_out_of_order(
        &self,
        device: DeviceId,
        invoice_no: i64,
        accepted: Uuid,
        receipt_no: i64,
    ) -> Result<Option<String>, LedgerError> {
        let row = self
            .query_opt(BEFORE, &[&device.uuid(), &invoice_no, &accepted])
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (number, receipt): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let most = receipt.saturating_add(invoice_no - number);
        let fits = receipt < receipt_no && receipt_no <= most;
        Ok((!fits).then(|| {
            format!(
                "number {number} has receipt {receipt}, so that {invoice_no} has one from {} to {most}",
                receipt + 1
            )
        }))
    }

    /// Gives the invoice the receipt that the person read off the portal.
    pub(crate) async fn accept_by_hand(
        &self,
        invoice: Uuid,
        invoice_no: i64,
        receipt: &EnteredReceipt,
        by: &OperatorAction,
    ) -> Result<(), LaneRefusal> {
        let because = format!("accepted, a person found: {}", by.reason);
        let accepted = self
            .execute(
                ACCEPT,
                &[
                    &invoice,
                    &invoice_no,
                    &receipt.receipt_no,
                    &receipt.signature,
                    &receipt.internal_data,
                    &by.operator,
                    &because,
                ],
            )
            .await?;
        if accepted == 0 {
            return Err(LaneRefusal::HasReceipt(invoice_no));
        }

        self.execute(SOLVE_DEAD_LETTER, &[&invoice, &by.operator, &by.reason])
            .await?;
        self.execute(REVIVE_CREDIT_NOTES, &[&invoice, &by.operator])
            .await?;
        Ok(())
    }

    /// The invoice of ours that KRA accepted under the number.
    pub(crate) async fn accepted_invoice(
        &self,
        device: DeviceId,
        invoice_no: i64,
        named: Option<InvoiceId>,
    ) -> Result<Uuid, LaneRefusal> {
        let rows = self.query(SENT, &[&device.uuid(), &invoice_no]).await?;
        let sent: Result<Vec<Uuid>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let sent = sent.map_err(LedgerError::from)?;
        match (named.map(InvoiceId::uuid), &sent[..]) {
            (Some(named), _) if sent.contains(&named) => Ok(named),
            (Some(named), _) => Err(LaneRefusal::NeverSent {
                invoice: InvoiceId::from_uuid(named),
                invoice_no,
            }),
            (None, []) => Err(LaneRefusal::NothingSent(invoice_no)),
            (None, [only]) => Ok(*only),
            (None, several) => {
                let ids: Vec<String> = several.iter().map(Uuid::to_string).collect();
                Err(LaneRefusal::SeveralSent {
                    invoice_no,
                    invoices: ids.join(", "),
                })
            }
        }
    }
}
