//! A number at KRA belongs to the invoice that its remark names, whatever we thought (protocol D8, D10).

use risiti_domain::InvoiceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::lanes::leases::Claim;
use crate::lanes::submissions::StoredReceipt;

statements! {
    OWNER = "SELECT state, invoice_no FROM invoices WHERE id = $1 AND device_id = $2 FOR UPDATE";
    HOLDER = "
        SELECT id FROM invoices WHERE device_id = $1 AND invoice_no = $2 AND id <> $3 FOR UPDATE";
    GIVE_WAY = "
        UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL,
            refused_at = NULL, moved_by = 'etims-worker', moved_because = 'its number belongs to another sale',
            moved_event = NULL
        WHERE id = $1 AND state = 'submitting'";
    ADOPT = "
        UPDATE invoices SET state = 'success', invoice_no = $2, receipt_no = $3, total_receipt_no = $4,
            receipt_signature = $5, internal_data = $6, control_unit_id = $7, receipt_url = $8,
            issued_at = coalesce($9, now()), unknown_since = NULL, hidden_since = NULL, refused_at = NULL,
            look_up_due_at = NULL, look_up_no = NULL, discard_wish = NULL, last_code = NULL, last_error = NULL,
            moved_by = 'etims-worker', moved_because = 'found at KRA by its number', moved_event = NULL
        WHERE id = $1";
    PASS = "
        UPDATE lanes SET next_invoice_no = next_invoice_no + 1, moved_by = 'etims-worker',
            retry_at = NULL, retry_step = 0, last_outcome = 'ok', last_call_at = now()
        WHERE device_id = $1 AND next_invoice_no = $2";
    SOLVE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'adopted', solved_by = 'etims-worker',
            solved_reason = 'found at KRA by its number'
        WHERE invoice_id = $1 AND (solved_at IS NULL OR solved_as = 'discarded')";
    /// Credit notes that were discarded with their sale come back with it (protocol C9).
    CREDIT_NOTES_BACK = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), moved_by = 'etims-worker',
            moved_because = 'its sale was filed after all', moved_event = NULL
        WHERE sale_id = $1 AND state = 'discarded' AND moved_because = 'its sale was discarded'";
}

/// What became of a sale found under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Its invoice has the receipt now, and whoever held the number is pending again.
    Adopted,
    /// Its invoice had it already.
    Known,
    /// No invoice of this lane.
    NotOurs,
    /// Its invoice was accepted under another number as well, or the number is another's by our books: a
    /// person has to look.
    Conflict {
        accepted_as: Option<i64>,
    },
    ClaimGone,
}

impl Ledger {
    /// Gives the sale found under `invoice_no` to the invoice it names, in whatever state that is.
    pub async fn adopt(
        &self,
        claim: &Claim,
        owner: InvoiceId,
        invoice_no: i64,
        receipt: &StoredReceipt,
    ) -> Result<Adoption, LedgerError> {
        let (device, owner) = (claim.device.uuid(), owner.uuid());
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        if !claim.hold(&transaction).await? {
            return Ok(Adoption::ClaimGone);
        }
        let Some(row) = transaction.query_opt(OWNER, &[&owner, &device]).await? else {
            return Ok(Adoption::NotOurs);
        };
        if row.try_get::<_, &str>(0)? == "success" {
            let accepted_as: Option<i64> = row.try_get(1)?;
            let known = accepted_as == Some(invoice_no);
            return Ok(if known {
                Adoption::Known
            } else {
                Adoption::Conflict { accepted_as }
            });
        }
        if !make_way(&transaction, device, invoice_no, owner).await? {
            return Ok(Adoption::Conflict { accepted_as: None });
        }
        write_receipt(&transaction, owner, invoice_no, receipt).await?;
        transaction.execute(PASS, &[&device, &invoice_no]).await?;
        transaction.execute(SOLVE, &[&owner]).await?;
        transaction.execute(CREDIT_NOTES_BACK, &[&owner]).await?;
        transaction.commit().await?;
        Ok(Adoption::Adopted)
    }
}

/// False when the number is accepted for another invoice by our books.
async fn make_way(
    transaction: &Transaction<'_>,
    device: Uuid,
    invoice_no: i64,
    owner: Uuid,
) -> Result<bool, LedgerError> {
    let Some(row) = transaction
        .query_opt(HOLDER, &[&device, &invoice_no, &owner])
        .await?
    else {
        return Ok(true);
    };
    let holder: Uuid = row.try_get(0)?;
    Ok(transaction.execute(GIVE_WAY, &[&holder]).await? == 1)
}

async fn write_receipt(
    transaction: &Transaction<'_>,
    owner: Uuid,
    invoice_no: i64,
    receipt: &StoredReceipt,
) -> Result<(), LedgerError> {
    transaction
        .execute(
            ADOPT,
            &[
                &owner,
                &invoice_no,
                &receipt.receipt_no,
                &receipt.total_receipt_no,
                &receipt.signature,
                &receipt.internal_data,
                &receipt.control_unit_id,
                &receipt.url,
                &receipt.issued_at,
            ],
        )
        .await
        .map(drop)
}
