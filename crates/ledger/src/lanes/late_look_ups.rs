//! Look-ups of numbers whose invoice has given them up: after a death with an unknown send behind it, and
//! before a discard (protocol D10, E4).

use std::time::Duration;

use risiti_domain::InvoiceId;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::millis;
use crate::db::statements::statements;
use crate::lanes::leases::Claim;
use crate::lanes::work::LateLookUp;

statements! {
    /// After the look-up at 15 minutes comes the one at 24 hours, and after that none.
    NEXT_DUE = "
        WITH due AS (
            SELECT max(s.sent_at) + interval '24 hours' AS at FROM submissions s
            WHERE s.invoice_id = $1 AND s.invoice_no = $2 AND (s.outcome IS NULL OR s.outcome = 'unknown')
        )
        UPDATE invoices i SET look_up_due_at = CASE WHEN due.at > now() THEN due.at END,
            look_up_no = CASE WHEN due.at > now() THEN i.look_up_no END
        FROM due WHERE i.id = $1 AND i.look_up_no = $2";
    POSTPONE = "
        UPDATE invoices SET look_up_due_at = now() + $4::bigint * interval '1 millisecond'
        WHERE id = $1 AND look_up_no = $5 AND EXISTS (
            SELECT FROM lane_leases WHERE device_id = $2 AND claim_id = $3)";
    /// Its request can still arrive: what look-ups are left stay due.
    DISCARD = "
        UPDATE invoices SET state = 'discarded', discard_wish = NULL, moved_by = 'operator',
            moved_because = discard_wish, moved_event = NULL
        WHERE id = $1 AND state IN ('dead', 'pending') AND discard_wish IS NOT NULL";
    DISCARD_CREDIT_NOTES = "
        UPDATE invoices SET state = 'discarded', moved_by = 'etims-worker', moved_because = 'its sale was discarded',
            moved_event = NULL
        WHERE sale_id = $1 AND state = 'pending'";
    SOLVE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'discarded', solved_by = coalesce(solved_by, 'operator'),
            solved_reason = (SELECT moved_because FROM invoices WHERE id = $1)
        WHERE invoice_id = $1 AND solved_at IS NULL";
}

impl Ledger {
    /// The number is not this invoice's, as far as KRA shows now. False when the claim is gone.
    pub async fn late_look_up_absent(
        &self,
        claim: &Claim,
        late: &LateLookUp,
    ) -> Result<bool, LedgerError> {
        let invoice = late.invoice.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        if !claim.hold(&transaction).await? {
            return Ok(false);
        }
        if late.discard && transaction.execute(DISCARD, &[&invoice]).await? == 1 {
            transaction
                .execute(DISCARD_CREDIT_NOTES, &[&invoice])
                .await?;
            transaction.execute(SOLVE, &[&invoice]).await?;
        }
        transaction
            .execute(NEXT_DUE, &[&invoice, &late.invoice_no])
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Nothing learnt: the look-up is due again after the pause, and the lane's other work goes on.
    pub async fn postpone_look_up(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        invoice_no: i64,
        pause: Duration,
    ) -> Result<(), LedgerError> {
        let (device, id) = (claim.device.uuid(), invoice.uuid());
        let connection = self.connection().await?;
        connection
            .execute(
                POSTPONE,
                &[&id, &device, &claim.claim_id, &millis(pause), &invoice_no],
            )
            .await
            .map(drop)
    }
}
