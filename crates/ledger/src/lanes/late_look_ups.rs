//! Late look-ups: of numbers that their invoice no longer holds (protocol D10, E4).
//!
//! They are due after an invoice became a dead letter with an unanswered send, and before a
//! discard.

use risiti_domain::InvoiceId;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{Statement, statements};
use crate::lanes::leases::{Claim, LaneError};
use crate::lanes::work::LateLookUp;

statements! {
    /// The look-up at 15 minutes is followed by one at 24 hours, and that one by none.
    NEXT_DUE = "
        WITH due AS (
            SELECT max(s.sent_at) + interval '24 hours' AS at FROM submissions s
            WHERE s.invoice_id = $1 AND s.invoice_no = $2 AND (s.outcome IS NULL OR s.outcome = 'unknown')
        )
        UPDATE invoices i SET look_up_tries = 0, look_up_due_at = CASE WHEN due.at > now() THEN due.at END,
            look_up_no = CASE WHEN due.at > now() THEN i.look_up_no END
        FROM due WHERE i.id = $1 AND i.look_up_no = $2";
    /// Nothing can be learnt about the number any more.
    NO_MORE = "UPDATE invoices SET look_up_due_at = NULL, look_up_no = NULL WHERE id = $1 AND look_up_no = $2";
    /// The pause doubles from a minute to an hour, with jitter, so that look-ups that a failing host
    /// does not answer take fewer and fewer calls from it.
    POSTPONE = "
        UPDATE invoices SET look_up_tries = look_up_tries + 1,
            look_up_due_at = now() + least(interval '1 minute' * power(2, least(look_up_tries, 10)), interval '1 hour')
                * (0.75 + random() * 0.5)
        WHERE id = $1 AND look_up_no = $4 AND EXISTS (
            SELECT FROM lane_leases WHERE device_id = $2 AND claim_id = $3)";
    /// The look-ups that are left stay due, because the request of a discarded invoice can still
    /// arrive.
    DISCARD = "
        UPDATE invoices SET state = 'discarded', discard_wish = NULL, moved_by = 'operator',
            moved_because = discard_wish, moved_event = NULL
        WHERE id = $1 AND state IN ('dead', 'pending') AND discard_wish IS NOT NULL";
    DISCARD_CREDIT_NOTES = "
        UPDATE invoices SET state = 'discarded', moved_by = 'etims-worker', moved_because = 'its sale was discarded',
            moved_event = NULL
        WHERE sale_id = $1 AND state = 'pending'";
    SOLVE_DEAD_LETTER = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'discarded', solved_by = coalesce(solved_by, 'operator'),
            solved_reason = (SELECT moved_because FROM invoices WHERE id = $1)
        WHERE invoice_id = $1 AND solved_at IS NULL";
}

impl Ledger {
    /// KRA does not show the number as this invoice's now. A discard that waited for this is
    /// carried out.
    pub async fn late_look_up_absent(
        &self,
        claim: &Claim,
        late: &LateLookUp,
    ) -> Result<(), LaneError> {
        self.end_late_look_up(claim, late, NEXT_DUE).await
    }

    /// The dialect has no look-up, so that nobody can ask KRA. A discard that waited for this is
    /// carried out on the person's word (protocol E4), and no look-up follows.
    pub async fn late_look_up_impossible(
        &self,
        claim: &Claim,
        late: &LateLookUp,
    ) -> Result<(), LaneError> {
        self.end_late_look_up(claim, late, NO_MORE).await
    }

    async fn end_late_look_up(
        &self,
        claim: &Claim,
        late: &LateLookUp,
        follow_up: Statement,
    ) -> Result<(), LaneError> {
        let invoice = late.invoice.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        claim.hold(&transaction).await?;

        if late.discard && transaction.execute(DISCARD, &[&invoice]).await? == 1 {
            transaction
                .execute(DISCARD_CREDIT_NOTES, &[&invoice])
                .await?;
            transaction.execute(SOLVE_DEAD_LETTER, &[&invoice]).await?;
        }
        transaction
            .execute(follow_up, &[&invoice, &late.invoice_no])
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The look-up proved nothing. It is due again later, each time later than before, and the
    /// lane's other work goes on.
    pub async fn postpone_look_up(
        &self,
        claim: &Claim,
        invoice: InvoiceId,
        invoice_no: i64,
    ) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        connection
            .execute(
                POSTPONE,
                &[
                    &invoice.uuid(),
                    &claim.device.uuid(),
                    &claim.claim_id,
                    &invoice_no,
                ],
            )
            .await
            .map(drop)
    }
}
