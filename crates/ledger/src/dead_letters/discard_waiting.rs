//! Discarding invoices that wait and were never sent, so that they are not filed (protocol E4).
//!
//! Each gets a row among the dead letters that is solved already. `run --discarded` takes the
//! discard back by that row, as with any other.

use jiff::Timestamp;
use risiti_domain::DeviceId;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::runs::ReplayRun;
use crate::dead_letters::waiting::{WaitingFilter, may_be_at_kra, waits_to_be_filed};
use crate::operator_actions::OperatorAction;

/// Invoices that one transaction discards, so that their rows are locked only for a moment.
pub const DISCARD_BATCH_MAX: u32 = 200;

statements! {
    /// Whoever sends one of them has to wait for the row. The next statement sees what was sent
    /// before. Payments that come after the run began are left to the next one.
    LOCK = concat!("
        SELECT i.id, i.created_at FROM invoices i JOIN merchants m ON m.id = i.merchant_id
        WHERE ", waits_to_be_filed!(), " AND i.state = 'pending' AND NOT ", may_be_at_kra!(), "
          AND i.created_at < $5 AND (i.created_at, i.id) > ($6, $7)
        ORDER BY i.created_at, i.id LIMIT $8 FOR NO KEY UPDATE OF i");
    DISCARD = concat!("
        UPDATE invoices i SET state = 'discarded', discard_wish = NULL, moved_by = $2, moved_because = $3,
            moved_event = NULL
        WHERE i.id = ANY($1) AND i.state = 'pending' AND NOT ", may_be_at_kra!(), "
        RETURNING i.id");
    DISCARD_CREDIT_NOTES = "
        UPDATE invoices SET state = 'discarded', moved_by = $2, moved_because = 'its sale was discarded',
            moved_event = NULL
        WHERE sale_id = ANY($1) AND state = 'pending'";
    ADD_SOLVED = "
        INSERT INTO dead_letters (id, cause, merchant_id, device_id, invoice_id, event_id, provider, code, message,
            attempts, amount, currency, solved_at, solved_as, solved_by, solved_reason)
        SELECT i.id, 'set_aside', i.merchant_id, i.device_id, i.id,
               (SELECT e.id FROM events e WHERE e.payment_id = i.payment_id ORDER BY e.id LIMIT 1),
               p.provider, i.last_code, $3, i.attempts, i.amount, i.currency, now(), 'discarded', $2, $3
        FROM invoices i JOIN payments p ON p.id = i.payment_id WHERE i.id = ANY($1)
        ON CONFLICT (invoice_id) WHERE invoice_id IS NOT NULL DO UPDATE
        SET cause = excluded.cause, device_id = excluded.device_id, code = excluded.code, message = excluded.message,
            attempts = excluded.attempts, dead_at = now(), solved_at = excluded.solved_at,
            solved_as = excluded.solved_as, solved_by = excluded.solved_by, solved_reason = excluded.solved_reason";
}

/// One batch of a discard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiscardedBatch {
    pub discarded: u64,
    /// The last invoice that was looked at, from which the next batch goes on. `None` at the end.
    pub last: Option<(Timestamp, Uuid)>,
}

impl Ledger {
    /// Discards at most `limit` invoices that wait and that KRA cannot have, oldest first, from the
    /// one after `after`. A sale takes its credit notes along (protocol C9).
    ///
    /// The rows are locked before they are looked at again, so that no worker sends one of them
    /// meanwhile. A worker that comes later finds them discarded and reads its lane again.
    pub async fn discard_waiting(
        &self,
        filter: &WaitingFilter,
        run: &ReplayRun,
        after: Option<(Timestamp, Uuid)>,
        limit: u32,
        action: &OperatorAction,
    ) -> Result<DiscardedBatch, LedgerError> {
        let (at, id) = after.unwrap_or((Timestamp::UNIX_EPOCH, Uuid::nil()));
        let limit = i64::from(limit.min(DISCARD_BATCH_MAX));
        let device = filter.device.map(DeviceId::uuid);
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        let params = filter.params(&device, &[&run.began, &at, &id, &limit]);
        let locked = transaction.query(LOCK, &params).await?;
        let Some(last) = locked.last() else {
            return Ok(DiscardedBatch::default());
        };
        let last = Some((last.try_get(1)?, last.try_get(0)?));
        let ids: Vec<Uuid> = locked
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;

        let (operator, reason) = (&action.operator, &action.reason);
        let discarded = transaction
            .query(DISCARD, &[&ids, operator, reason])
            .await?;
        let ids: Vec<Uuid> = discarded
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()?;
        transaction
            .execute(DISCARD_CREDIT_NOTES, &[&ids, operator])
            .await?;
        transaction
            .execute(ADD_SOLVED, &[&ids, operator, reason])
            .await?;
        transaction.commit().await?;
        Ok(DiscardedBatch {
            discarded: ids.len() as u64,
            last,
        })
    }
}
