//! Issuing and withdrawing credit notes (protocol C9).

use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::reversal::{NewCreditNote, Withdrawal};

statements! {
    /// Adds a credit note beside its sale, and returns the sale's device and whether the sale is
    /// filed.
    ///
    /// The sale's row is locked, so that this and a discard of the sale see each other. The credit
    /// note of a discarded sale starts discarded, and comes back if the sale does.
    ISSUE = "
        WITH sale AS (
            SELECT id, payment_id, merchant_id, device_id, state FROM invoices
            WHERE payment_id = $2 AND kind = 'sale' FOR NO KEY UPDATE
        ), note AS (
            INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, state, amount, sale_id, reversal_id,
                event_id, moved_by, moved_because, moved_event)
            SELECT $1, payment_id, merchant_id, device_id, 'credit_note',
                   CASE WHEN state = 'discarded' THEN 'discarded' ELSE 'pending' END, $3, id, $4,
                   $5, $6, CASE WHEN state = 'discarded' THEN 'its sale was discarded' ELSE 'money went back' END,
                   $5
            FROM sale
            ON CONFLICT ON CONSTRAINT one_credit_note_per_reversal DO NOTHING
        )
        SELECT device_id, state = 'success' FROM sale";
    /// Discards a credit note that was never sent. One that went with its discarded sale is
    /// included, so that it does not come back with that sale (protocol C9).
    WITHDRAW = "
        UPDATE invoices SET state = 'discarded', moved_by = 'ledger-worker', moved_because = 'the money came back',
            moved_event = $2
        WHERE reversal_id = $1 AND first_sent_at IS NULL
          AND (state = 'pending' OR (state = 'discarded' AND moved_because = 'its sale was discarded'))";
    STILL_CREDITED = "SELECT EXISTS (SELECT FROM invoices WHERE reversal_id = $1 AND state <> 'discarded')";
}

/// Whether a credit note that was to be withdrawn is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WithdrawalOutcome {
    Gone,
    /// It was sent before, so it stands, and a person has to look at the payment.
    Stands,
}

/// Adds a credit note beside its sale. Returns the lane that can file it now, if one can.
pub(crate) async fn issue(
    transaction: &Transaction<'_>,
    note: &NewCreditNote,
    actor: &str,
) -> Result<Option<DeviceId>, LedgerError> {
    let row = transaction
        .query_opt(
            ISSUE,
            &[
                &Uuid::now_v7(),
                &note.payment.uuid(),
                &note.amount,
                &note.reversal,
                &note.event.uuid(),
                &actor,
            ],
        )
        .await?;
    // A payment that owes no tax invoice has no sale, and so gets no credit note.
    let Some(row) = row else {
        return Ok(None);
    };

    let device = DeviceId::from_uuid(row.try_get(0)?);
    let sale_is_filed: bool = row.try_get(1)?;
    Ok(sale_is_filed.then_some(device))
}

/// Withdraws a credit note, if it was never sent.
pub(crate) async fn withdraw(
    transaction: &Transaction<'_>,
    withdrawal: &Withdrawal,
) -> Result<WithdrawalOutcome, LedgerError> {
    let reversal = &withdrawal.reversal;
    transaction
        .execute(WITHDRAW, &[reversal, &withdrawal.event.uuid()])
        .await?;
    let row = transaction.query_one(STILL_CREDITED, &[reversal]).await?;
    let still_credited: bool = row.try_get(0)?;
    Ok(if still_credited {
        WithdrawalOutcome::Stands
    } else {
        WithdrawalOutcome::Gone
    })
}
