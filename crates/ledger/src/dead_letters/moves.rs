//! Taking something off the pile: replayed or discarded, each guarded by the state it is in.

use std::collections::BTreeMap;

use risiti_domain::{DeviceId, InvoiceId};
use tokio_postgres::types::Json;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::runs::RunItem;
use crate::operator_actions::OperatorAction;

statements! {
    /// Behind the lane's other work, so that live sales do not wait for what failed once. A look-up that is
    /// still due stays due (protocol D10).
    REPLAY_INVOICE = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), strikes = 0, rounds = 0,
            strike_mark = NULL, discard_wish = NULL, moved_by = $2, moved_because = $3, moved_event = NULL
        WHERE id = $1 AND state IN ('dead', 'discarded')
        RETURNING device_id";
    /// Credit notes that were discarded with their sale come back with it (protocol C9).
    CREDIT_NOTES_BACK = "
        UPDATE invoices SET state = 'pending', position = nextval('lane_position'), moved_by = $2,
            moved_because = 'its sale was replayed', moved_event = NULL
        WHERE sale_id = $1 AND state = 'discarded' AND moved_because = 'its sale was discarded'";
    SOLVE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = $2, solved_by = $3, solved_reason = $4,
            replays = replays + CASE WHEN $2 = 'replayed' THEN 1 ELSE 0 END
        WHERE id = $1 AND (solved_at IS NULL OR solved_as = 'discarded' AND $2 = 'replayed')";
    /// The same bytes set aside once more while they were being replayed: then the row stays.
    SOLVE_MESSAGE = "
        UPDATE dead_letters SET solved_at = now(), solved_as = 'replayed', solved_by = $2, solved_reason = $3,
            replays = replays + 1
        WHERE id = $1 AND deliveries = $4 AND (solved_at IS NULL OR solved_as = 'discarded')";
    MESSAGE = "SELECT body, headers, replays FROM dead_letters WHERE id = $1 AND invoice_id IS NULL";
    /// Some send of it was never answered, so KRA may have it: the lane asks first (protocol E4).
    WISH = "
        UPDATE invoices i SET discard_wish = $2, look_up_due_at = now(), look_up_no = coalesce(i.look_up_no, sent.invoice_no)
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

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// Off the pile; the lane to wake, if it has one.
    Done(Option<DeviceId>),
    /// The lane looks its number up first, then adopts or discards it (protocol E4).
    Wished(DeviceId),
    /// Somebody else moved it meanwhile.
    Gone,
}

/// An unreadable or poison message as it was kept.
pub struct StoredMessage {
    pub body: Vec<u8>,
    pub headers: BTreeMap<String, String>,
    /// How often it was replayed before.
    pub replays: i32,
}

impl Ledger {
    /// `dead → pending`, or `discarded → pending` where the run asked for discarded ones.
    pub async fn replay_invoice(
        &self,
        invoice: InvoiceId,
        by: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let id = invoice.uuid();
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let moved = transaction
            .query_opt(REPLAY_INVOICE, &[&id, &by.operator, &by.reason])
            .await?;
        let Some(row) = moved else {
            return Ok(MoveOutcome::Gone);
        };
        transaction
            .execute(CREDIT_NOTES_BACK, &[&id, &by.operator])
            .await?;
        transaction
            .execute(SOLVE, &[&id, &"replayed", &by.operator, &by.reason])
            .await?;
        transaction.commit().await?;
        Ok(MoveOutcome::Done(Some(DeviceId::from_uuid(
            row.try_get(0)?,
        ))))
    }

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

    /// Call it once `[payments]` has confirmed the message: killed between, it is published again, and the
    /// ledger knows its delivery key. [`MoveOutcome::Gone`]: it came back to the pile already.
    pub async fn message_replayed(
        &self,
        item: &RunItem,
        by: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let connection = self.connection().await?;
        let solved = connection
            .execute(
                SOLVE_MESSAGE,
                &[&item.id, &by.operator, &by.reason, &item.deliveries],
            )
            .await?;
        Ok(if solved == 1 {
            MoveOutcome::Done(None)
        } else {
            MoveOutcome::Gone
        })
    }

    /// Gives an item up for good, or has its lane look it up first (protocol E4). A sale takes its unfiled
    /// credit notes with it (protocol C9).
    pub async fn discard_dead_letter(
        &self,
        item: &RunItem,
        by: &OperatorAction,
    ) -> Result<MoveOutcome, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        if let Some(invoice) = item.invoice {
            let id = invoice.uuid();
            let wish = format!("{} (discarded by {})", by.reason, by.operator);
            if let Some(row) = transaction.query_opt(WISH, &[&id, &wish]).await? {
                let lane = DeviceId::from_uuid(row.try_get(0)?);
                transaction.commit().await?;
                return Ok(MoveOutcome::Wished(lane));
            }
            if transaction
                .execute(DISCARD_INVOICE, &[&id, &by.operator, &by.reason])
                .await?
                == 0
            {
                return Ok(MoveOutcome::Gone);
            }
            transaction
                .execute(DISCARD_CREDIT_NOTES, &[&id, &by.operator])
                .await?;
        }
        let solved = transaction
            .execute(SOLVE, &[&item.id, &"discarded", &by.operator, &by.reason])
            .await?;
        transaction.commit().await?;
        Ok(if solved == 1 {
            MoveOutcome::Done(None)
        } else {
            MoveOutcome::Gone
        })
    }
}
