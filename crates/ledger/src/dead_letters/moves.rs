//! Replaying and discarding dead letters. Each statement is guarded by the state it expects.

use std::collections::BTreeMap;

use risiti_domain::{DeviceId, InvoiceId};
use tokio_postgres::types::Json;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::runs::RunItem;
use crate::operator_actions::OperatorAction;

statements! {
    /// Moves the invoice behind the lane's other work, so that live sales do not wait for what
    /// failed once. A look-up that is due stays due (protocol D10).
    REPLAY_INVOICE = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), strikes = 0, rounds = 0,
            strike_mark = NULL, discard_wish = NULL, moved_by = $2, moved_because = $3, moved_event = NULL
        WHERE id = $1 AND state IN ('dead', 'discarded')
        RETURNING device_id";
    /// Brings back the credit notes that were discarded with their sale (protocol C9).
    REPLAY_CREDIT_NOTES = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), moved_by = $2,
            moved_because = 'its sale was replayed', moved_event = NULL
        WHERE sale_id = $1 AND state = 'discarded' AND moved_because = 'its sale was discarded'";
    /// Closes an open dead letter. A replay also closes one that was discarded.
    SOLVE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = $2, solved_by = $3, solved_reason = $4,
            replays = replays + CASE WHEN $2 = 'replayed' THEN 1 ELSE 0 END
        WHERE id = $1 AND (solved_at IS NULL OR solved_as = 'discarded' AND $2 = 'replayed')";
    /// Leaves the row open if the same bytes were set aside once more during the replay.
    SOLVE_MESSAGE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'replayed', solved_by = $2, solved_reason = $3,
            replays = replays + 1
        WHERE id = $1 AND deliveries = $4 AND (solved_at IS NULL OR solved_as = 'discarded')";
    MESSAGE = "SELECT body, headers, replays FROM dead_letters WHERE id = $1 AND invoice_id IS NULL";
    /// Asks the lane to look the invoice up before it is discarded, if KRA may have it (protocol
    /// E4).
    ///
    /// KRA may have it when a look-up is due or some send was never answered. The join with one
    /// constant row lets the update go through without such a send, so that a due look-up is
    /// enough.
    REQUEST_DISCARD = "
        UPDATE invoices i SET discard_wish = $2, look_up_due_at = now(), look_up_tries = 0, look_up_no = coalesce(i.look_up_no, sent.invoice_no)
        FROM (VALUES (1)) AS one
        LEFT JOIN LATERAL (
            SELECT s.invoice_no FROM submissions s
            WHERE s.invoice_id = $1 AND (s.outcome IS NULL OR s.outcome = 'unknown') ORDER BY s.id DESC LIMIT 1
        ) sent ON true
        WHERE i.id = $1 AND i.state = 'dead' AND coalesce(i.look_up_no, sent.invoice_no) IS NOT NULL
        RETURNING i.device_id";
    DISCARD_INVOICE = "
        UPDATE invoices SET state = 'discarded', discard_wish = NULL, moved_by = $2, moved_because = $3,
            moved_event = NULL
        WHERE id = $1 AND state = 'dead'";
    DISCARD_CREDIT_NOTES = "
        UPDATE invoices SET state = 'discarded', moved_by = $2, moved_because = 'its sale was discarded',
            moved_event = NULL
        WHERE sale_id = $1 AND state = 'pending'";
}

/// What became of a dead letter that was replayed or discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It is solved. The lane has to be woken, if there is one.
    Solved(Option<DeviceId>),
    /// Its lane looks the number up first, then adopts or discards the invoice (protocol E4).
    LookUpFirst(DeviceId),
    /// Nothing was changed, because somebody else moved it first or the same bytes were set aside
    /// again.
    Overtaken,
}

/// An unreadable or poison message as it is stored.
pub struct StoredMessage {
    /// `None` once `risiti-admin prune` has removed it.
    pub body: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
    /// How often it has been replayed.
    pub replays: i32,
}

impl Ledger {
    /// Moves an invoice `dead → pending`, or `discarded → pending` if the run takes discarded ones.
    pub async fn replay_invoice(
        &self,
        invoice: InvoiceId,
        action: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let id = invoice.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        let moved = transaction
            .query_opt(REPLAY_INVOICE, &[&id, &action.operator, &action.reason])
            .await?;
        let Some(row) = moved else {
            return Ok(MoveOutcome::Overtaken);
        };

        transaction
            .execute(REPLAY_CREDIT_NOTES, &[&id, &action.operator])
            .await?;
        transaction
            .execute(SOLVE, &[&id, &"replayed", &action.operator, &action.reason])
            .await?;
        transaction.commit().await?;
        Ok(MoveOutcome::Solved(Some(DeviceId::from_uuid(
            row.try_get(0)?,
        ))))
    }

    /// Reads the message of a dead letter. `None` if it is gone or stands for an invoice.
    pub async fn stored_message(
        &self,
        item: &RunItem,
    ) -> Result<Option<StoredMessage>, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_opt(MESSAGE, &[&item.id])
            .await?;
        row.map(|row| {
            let headers: Option<Json<BTreeMap<String, String>>> = row.try_get(1)?;
            let headers = headers.map(|Json(headers)| headers).unwrap_or_default();
            Ok(StoredMessage {
                body: row.try_get(0)?,
                headers,
                replays: row.try_get(2)?,
            })
        })
        .transpose()
    }

    /// Closes the dead letter of a message that was published to `[payments]` again.
    ///
    /// Call it once the broker has confirmed the message. A program killed in between publishes it
    /// once more, and the ledger knows its delivery key. [`MoveOutcome::Overtaken`] means that it
    /// is a dead letter again already.
    pub async fn message_replayed(
        &self,
        item: &RunItem,
        action: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let connection = self.connection().await?;
        let solved = connection
            .execute(
                SOLVE_MESSAGE,
                &[&item.id, &action.operator, &action.reason, &item.deliveries],
            )
            .await?;
        Ok(if solved == 1 {
            MoveOutcome::Solved(None)
        } else {
            MoveOutcome::Overtaken
        })
    }

    /// Discards a dead letter, or has its lane look the invoice up first (protocol E4).
    ///
    /// A discarded sale takes its unfiled credit notes with it (protocol C9).
    pub async fn discard_dead_letter(
        &self,
        item: &RunItem,
        action: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        if let Some(invoice) = item.invoice {
            let id = invoice.uuid();
            let discard_wish = format!("{} (discarded by {})", action.reason, action.operator);
            if let Some(row) = transaction
                .query_opt(REQUEST_DISCARD, &[&id, &discard_wish])
                .await?
            {
                let lane = DeviceId::from_uuid(row.try_get(0)?);
                transaction.commit().await?;
                return Ok(MoveOutcome::LookUpFirst(lane));
            }

            if transaction
                .execute(DISCARD_INVOICE, &[&id, &action.operator, &action.reason])
                .await?
                == 0
            {
                return Ok(MoveOutcome::Overtaken);
            }
            transaction
                .execute(DISCARD_CREDIT_NOTES, &[&id, &action.operator])
                .await?;
        }

        let solved = transaction
            .execute(
                SOLVE,
                &[&item.id, &"discarded", &action.operator, &action.reason],
            )
            .await?;
        transaction.commit().await?;
        Ok(if solved == 1 {
            MoveOutcome::Solved(None)
        } else {
            MoveOutcome::Overtaken
        })
    }
}
