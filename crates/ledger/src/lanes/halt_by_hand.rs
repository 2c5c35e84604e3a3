//! A person halts or resumes a lane, and gives a reason.

use risiti_domain::{DeviceId, InvoiceId, InvoiceState};
use serde_json::{Value, json};
use tokio_postgres::types::Json;

use crate::OperatorAction;
use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::db::statements::statements;
use crate::lanes::contradiction::KraEvidence;
use crate::lanes::evidence::FoundAtKra;
use crate::lanes::resolve_through::NUMBERS_MAX;

statements! {
    LANE = "SELECT halt_reason, next_invoice_no, found, expected_no FROM lanes WHERE device_id = $1 FOR UPDATE";
    /// The reason names the command that ends it (protocol D15).
    HALT = "
        UPDATE lanes SET halted_at = now(), halt_reason = $2, halt_remedy = 'lanes resume', token_at = NULL,
            moved_by = $3
        WHERE device_id = $1 AND halted_at IS NULL";
    RESUME = "
        UPDATE lanes SET halted_at = NULL, halt_reason = NULL, halt_remedy = NULL, retry_at = NULL, retry_step = 0, token_at = NULL,
            moved_by = $2, moved_because = $3
        WHERE device_id = $1 AND halted_at IS NOT NULL";
    /// A number that look-ups do not show gets its full time again (protocol D9). What is unknown
    /// stays unknown, and its hour counts from `resumed_at`.
    RESTART_HIDDEN_TIME = "
        UPDATE invoices SET hidden_since = NULL WHERE device_id = $1 AND state = 'submitting'";
}

/// Why a person's command did not change a lane.
#[derive(Debug, thiserror::Error)]
pub enum LaneRefusal {
    #[error("there is no such device")]
    NoSuchDevice,
    #[error("the lane is halted already: {0}")]
    HaltedAlready(String),
    #[error("the lane is not halted, so that there is nothing to resume")]
    NotHalted,
    #[error(
        "the lane is not halted, and a number is settled only while it is: first `risiti-replay lanes halt {0} \
         --reason 'to be settled by hand'`"
    )]
    NotHaltedYet(DeviceId),
    #[error(
        "a worker holds the lane at this moment: try again in ten seconds, or stop the lane first with \
         `risiti-replay lanes halt`"
    )]
    Held,
    #[error("the device has no invoice {0}")]
    NoSuchInvoice(InvoiceId),
    #[error("invoice {invoice} is {state}: only one that waits or is being filed can be set aside")]
    CannotBeSetAside {
        invoice: InvoiceId,
        state: InvoiceState,
    },
    #[error("credit note {0} waits for its sale and holds up no lane: settle the sale instead")]
    WaitsForItsSale(InvoiceId),
    #[error("invoice {0} has just been moved: look at it and try again")]
    Overtaken(InvoiceId),
    #[error("number {asked} is not in question: the lane's next number is {next}")]
    NotInQuestion { asked: i64, next: i64 },
    #[error(
        "the numbers from {next} through {through} are not in question: give one from {next} on, and at most \
         {NUMBERS_MAX} numbers at once"
    )]
    RangeNotInQuestion { through: i64, next: i64 },
    #[error("number {0} is an invoice's with a receipt, so that it is not taken elsewhere")]
    NumberIsOurs(i64),
    #[error("no invoice of ours was ever sent under number {0}: was it --taken-elsewhere?")]
    NothingSent(i64),
    #[error(
        "invoice {invoice} was never sent under number {invoice_no}, or has a receipt under another"
    )]
    NeverSent { invoice: InvoiceId, invoice_no: i64 },
    #[error(
        "several invoices were sent under number {invoice_no}: say with --invoice which of them KRA has, {invoices}"
    )]
    SeveralSent { invoice_no: i64, invoices: String },
    #[error("the invoice sent under number {0} has a receipt already")]
    HasReceipt(i64),
    #[error("this contradicts what KRA said: {0}. If KRA's portal says otherwise, add --force")]
    Contradicted(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A lane whose row is locked.
pub(crate) struct LockedLane {
    pub(crate) halt_reason: Option<String>,
    pub(crate) next_invoice_no: i64,
    pub(crate) evidence: KraEvidence,
}

impl Ledger {
    /// Halts the lane. A call that is under way ends first, and no other begins.
    pub async fn halt_lane_by_hand(
        &self,
        device: DeviceId,
        by: &OperatorAction,
    ) -> Result<(), LaneRefusal> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        if let Some(reason) = transaction.lock_lane(device).await?.halt_reason {
            return Err(LaneRefusal::HaltedAlready(reason));
        }

        let reason = format!(
            "{} (by {}; ends with: risiti-replay lanes resume)",
            by.reason, by.operator
        );
        let before = transaction.lane_before(device, None).await?;
        transaction
            .execute(HALT, &[&device.uuid(), &reason, &by.operator])
            .await?;
        transaction
            .record_lane_change("lanes halt", by, before, Value::Null)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Ends the halt. The lane is due at once, whatever it waited for.
    pub async fn resume_lane(
        &self,
        device: DeviceId,
        by: &OperatorAction,
    ) -> Result<(), LaneRefusal> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let Some(halted_for) = transaction.lock_lane(device).await?.halt_reason else {
            return Err(LaneRefusal::NotHalted);
        };
        let before = transaction.lane_before(device, None).await?;
        transaction.end_halt(device, by).await?;
        transaction
            .record_lane_change(
                "lanes resume",
                by,
                before,
                json!({ "halted_for": halted_for }),
            )
            .await?;
        Ok(transaction.commit().await?)
    }
}

impl Transaction<'_> {
    pub(crate) async fn lock_lane(&self, device: DeviceId) -> Result<LockedLane, LaneRefusal> {
        let row = self
            .query_opt(LANE, &[&device.uuid()])
            .await?
            .ok_or(LaneRefusal::NoSuchDevice)?;
        let read = || {
            Ok(LockedLane {
                halt_reason: row.try_get(0)?,
                next_invoice_no: row.try_get(1)?,
                evidence: KraEvidence {
                    found: row
                        .try_get::<_, Option<Json<FoundAtKra>>>(2)?
                        .map(|Json(found)| found),
                    expected: row.try_get(3)?,
                },
            })
        };
        read().map_err(|error: tokio_postgres::Error| LedgerError::from(error).into())
    }

    pub(crate) async fn end_halt(
        &self,
        device: DeviceId,
        by: &OperatorAction,
    ) -> Result<(), LedgerError> {
        self.execute(RESUME, &[&device.uuid(), &by.operator, &by.reason])
            .await?;
        self.execute(RESTART_HIDDEN_TIME, &[&device.uuid()])
            .await
            .map(drop)
    }
}
