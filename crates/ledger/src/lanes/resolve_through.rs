//! A person says that a whole range of numbers is another system's (protocol D11).
//!
//! A branch that has filed elsewhere before is far ahead of a lane that starts at 1. Without this a
//! person would have to settle each number by itself.

use jiff::Timestamp;
use risiti_domain::{DeviceId, InvoiceId};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::lanes::contradiction::OnContradiction;
use crate::lanes::halt_by_hand::LaneRefusal;
use crate::{CommandMode, OperatorAction};

/// The numbers that one command settles at most. Each gets a row.
pub const NUMBERS_MAX: i64 = 100_000;

statements! {
    OURS = "
        SELECT min(invoice_no) FROM invoices WHERE device_id = $1 AND invoice_no BETWEEN $2 AND $3 AND state = 'success'";
    UNANSWERED = "
        SELECT s.invoice_no, s.invoice_id, max(s.sent_at) FROM submissions s
        WHERE s.device_id = $1 AND s.invoice_no BETWEEN $2 AND $3 AND (s.outcome IS NULL OR s.outcome = 'unknown')
        GROUP BY s.invoice_no, s.invoice_id ORDER BY s.invoice_no, s.invoice_id LIMIT 100";
    RECORD_FOREIGN_NUMBERS = "
        INSERT INTO foreign_invoice_numbers (device_id, invoice_no, operator, reason)
        SELECT $1, n, $4, $5 FROM generate_series($2::bigint, $3::bigint) n
        ON CONFLICT (device_id, invoice_no) DO NOTHING";
    PASS_NUMBERS = "UPDATE lanes SET next_invoice_no = $3::bigint + 1, moved_by = $4
        WHERE device_id = $1 AND next_invoice_no = $2";
}

/// A send of ours under one of the numbers that nobody answered. The person's word answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnansweredSend {
    pub invoice_no: i64,
    pub invoice_id: InvoiceId,
    pub last_sent_at: Timestamp,
}

/// What it meant that a range of numbers is another system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedThrough {
    /// The first of the numbers, which the lane was about to use.
    pub from: i64,
    pub through: i64,
    /// The invoice that gave its number back.
    pub invoice: Option<InvoiceId>,
    /// At most a hundred.
    pub unanswered: Vec<UnansweredSend>,
}

impl Ledger {
    /// Settles all numbers from the lane's next one through this one as another system's, and ends
    /// the halt.
    ///
    /// # Errors
    /// A refusal, also for what contradicts KRA, unless the person insists.
    pub async fn resolve_lane_through(
        &self,
        device: DeviceId,
        through: i64,
        on_contradiction: OnContradiction,
        mode: CommandMode,
        by: &OperatorAction,
    ) -> Result<ResolvedThrough, LaneRefusal> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let lane = transaction.hold_halted_lane(device).await?;
        let from = lane.next_invoice_no;
        if through < from || through - from >= NUMBERS_MAX {
            return Err(LaneRefusal::RangeNotInQuestion {
                through,
                next: from,
            });
        }
        transaction.require_none_ours(device, from, through).await?;
        let contradiction = lane.evidence.contradiction_through(from, through);
        let forced = on_contradiction.forced(contradiction)?;
        let unanswered = transaction.unanswered(device, from, through).await?;

        let id = device.uuid();
        let holder = transaction
            .number_holder(device)
            .await?
            .filter(|(_, number)| (from..=through).contains(number))
            .map(|(invoice, _)| invoice);
        let before = transaction.lane_before(device, holder).await?;
        transaction
            .take_number_back(holder, "its number is another system's", by)
            .await?;
        transaction
            .resolve_sends(device, from..=through, None)
            .await?;
        transaction
            .execute(
                RECORD_FOREIGN_NUMBERS,
                &[&id, &from, &through, &by.operator, &by.reason],
            )
            .await?;
        transaction
            .execute(PASS_NUMBERS, &[&id, &from, &through, &by.operator])
            .await?;
        transaction.end_halt(device, by).await?;

        let invoice = holder.map(InvoiceId::from_uuid);
        let mut subject = json!({ "from": from, "through": through, "as": "taken elsewhere" });
        if let Some(why) = forced {
            subject["forced"] = json!(true);
            subject["forced_against"] = json!(why);
        }
        transaction
            .record_lane_change("lanes resolve", by, before, subject)
            .await?;
        mode.end(transaction).await?;
        Ok(ResolvedThrough {
            from,
            through,
            invoice,
            unanswered,
        })
    }
}

impl Transaction<'_> {
    async fn require_none_ours(
        &self,
        device: DeviceId,
        from: i64,
        through: i64,
    ) -> Result<(), LaneRefusal> {
        let row = self
            .query_one(OURS, &[&device.uuid(), &from, &through])
            .await?;
        match row.try_get(0).map_err(LedgerError::from)? {
            None => Ok(()),
            Some(number) => Err(LaneRefusal::NumberIsOurs(number)),
        }
    }

    async fn unanswered(
        &self,
        device: DeviceId,
        from: i64,
        through: i64,
    ) -> Result<Vec<UnansweredSend>, LedgerError> {
        let rows = self
            .query(UNANSWERED, &[&device.uuid(), &from, &through])
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UnansweredSend {
                    invoice_no: row.try_get(0)?,
                    invoice_id: InvoiceId::from_uuid(row.try_get::<_, Uuid>(1)?),
                    last_sent_at: row.try_get(2)?,
                })
            })
            .collect()
    }
}
