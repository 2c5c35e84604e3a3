//! A number at KRA belongs to the invoice that its remark names, whatever the ledger says
//! (protocol D8, D10).

use risiti_domain::InvoiceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::lanes::leases::{Claim, LaneError};
use crate::lanes::submissions::StoredReceipt;

statements! {
    OWNER = "SELECT state, invoice_no FROM invoices WHERE id = $1 AND device_id = $2 FOR UPDATE";
    HOLDER = "
        SELECT id FROM invoices WHERE device_id = $1 AND invoice_no = $2 AND id <> $3 FOR UPDATE";
    TAKE_NUMBER_AWAY = "
        UPDATE invoices SET state = 'pending', invoice_no = NULL, unknown_since = NULL, hidden_since = NULL,
            refused_at = NULL, moved_by = 'etims-worker', moved_because = 'its number belongs to another sale',
            moved_event = NULL
        WHERE id = $1 AND state = 'submitting'";
    ADOPT = "
        UPDATE invoices SET state = 'success', invoice_no = $2, receipt_no = $3, total_receipt_no = $4,
            receipt_signature = $5, internal_data = $6, control_unit_id = $7, receipt_url = $8,
            issued_at = coalesce($9, now()), unknown_since = NULL, hidden_since = NULL, refused_at = NULL,
            look_up_due_at = NULL, look_up_no = NULL, discard_wish = NULL, last_code = NULL, last_error = NULL,
            buyer_name = coalesce($10, buyer_name), buyer_pin = coalesce($11, buyer_pin),
            moved_by = 'etims-worker', moved_because = 'found at KRA by its number', moved_event = NULL
        WHERE id = $1";
    PASS_NUMBER = "
        UPDATE lanes SET next_invoice_no = next_invoice_no + 1, moved_by = 'etims-worker',
            retry_at = NULL, retry_step = 0, unanswered_since = NULL, deaths_in_row = 0, last_outcome = 'ok', last_call_at = now()
        WHERE device_id = $1 AND next_invoice_no = $2";
    SOLVE_DEAD_LETTER = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'adopted', solved_by = 'etims-worker',
            solved_reason = 'found at KRA by its number'
        WHERE invoice_id = $1 AND (solved_at IS NULL OR solved_as = 'discarded')";
    /// Credit notes that were discarded with their sale are pending again with it (protocol C9).
    REVIVE_CREDIT_NOTES = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), moved_by = 'etims-worker',
            moved_because = 'its sale was filed after all', moved_event = NULL
        WHERE sale_id = $1 AND state = 'discarded' AND moved_because = 'its sale was discarded'";
}

/// What became of a sale found under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// Its invoice has the receipt now, and the invoice that held the number is pending again.
    Adopted,
    /// Its invoice had the receipt already.
    Known,
    /// It names no invoice of this lane.
    NotOurs,
    /// Its invoice was accepted under another number as well, or the ledger has another invoice
    /// accepted under this number. A person has to look.
    Conflict { accepted_as: Option<i64> },
}

/// Whether a number can be given to another invoice.
enum NumberHolder {
    /// No invoice holds it any more.
    GaveWay,
    /// Another invoice was accepted under it.
    Accepted,
}

impl Ledger {
    /// Gives the sale found under `invoice_no` to the invoice it names, whatever state that is in.
    pub async fn adopt(
        &self,
        claim: &Claim,
        owner: InvoiceId,
        invoice_no: i64,
        receipt: &StoredReceipt,
    ) -> Result<Adoption, LaneError> {
        let device = claim.device.uuid();
        let owner = owner.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        claim.hold(&transaction).await?;

        let Some(row) = transaction.query_opt(OWNER, &[&owner, &device]).await? else {
            return Ok(Adoption::NotOurs);
        };
        if row.try_get::<_, &str>(0)? == "success" {
            let accepted_as: Option<i64> = row.try_get(1)?;
            return Ok(if accepted_as == Some(invoice_no) {
                Adoption::Known
            } else {
                Adoption::Conflict { accepted_as }
            });
        }
        if let NumberHolder::Accepted = free_number(&transaction, device, invoice_no, owner).await?
        {
            return Ok(Adoption::Conflict { accepted_as: None });
        }

        write_receipt(&transaction, owner, invoice_no, receipt).await?;
        transaction
            .execute(PASS_NUMBER, &[&device, &invoice_no])
            .await?;
        transaction.execute(SOLVE_DEAD_LETTER, &[&owner]).await?;
        transaction.execute(REVIVE_CREDIT_NOTES, &[&owner]).await?;
        transaction.commit().await?;
        Ok(Adoption::Adopted)
    }
}

/// Takes the number away from the invoice that holds it, unless that one was accepted under it.
async fn free_number(
    transaction: &Transaction<'_>,
    device: Uuid,
    invoice_no: i64,
    owner: Uuid,
) -> Result<NumberHolder, LedgerError> {
    let Some(row) = transaction
        .query_opt(HOLDER, &[&device, &invoice_no, &owner])
        .await?
    else {
        return Ok(NumberHolder::GaveWay);
    };
    let holder: Uuid = row.try_get(0)?;
    Ok(
        match transaction.execute(TAKE_NUMBER_AWAY, &[&holder]).await? {
            1 => NumberHolder::GaveWay,
            _ => NumberHolder::Accepted,
        },
    )
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
                &receipt.buyer_name(),
                &receipt.buyer_pin(),
            ],
        )
        .await
        .map(drop)
}
