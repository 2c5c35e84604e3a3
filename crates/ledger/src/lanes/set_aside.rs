//! A person sets one invoice aside: it becomes a dead letter, and its lane goes on without it.
//!
//! It is the way out for an invoice that no answer of KRA ends, on every dialect.

use risiti_domain::{DeadCause, DeviceId, InvoiceId, InvoiceState};
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::OperatorAction;
use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::insert::insert_invoice_dead_letter;
use crate::lanes::death::Death;
use crate::lanes::halt_by_hand::LaneRefusal;
use crate::lanes::hold::LaneHold;

statements! {
    INVOICE = "
        SELECT i.state, i.invoice_no, i.merchant_id, i.event_id, i.attempts, i.last_code, i.last_error,
            (SELECT s.body FROM submissions s WHERE s.invoice_id = i.id ORDER BY s.id DESC LIMIT 1),
            EXISTS (SELECT FROM lane_leases x WHERE x.device_id = i.device_id AND x.lease_until > clock_timestamp()),
            i.kind = 'sale' OR (SELECT sale.state FROM invoices sale WHERE sale.id = i.sale_id) = 'success'
        FROM invoices i WHERE i.id = $1 AND i.device_id = $2";
    /// The lane need not wait for what the invoice waited for.
    DUE_AT_ONCE = "UPDATE lanes SET retry_at = NULL, retry_step = 0 WHERE device_id = $1";
}

/// An invoice that can be set aside, with what its message in the dead-letter queue tells.
#[derive(Clone, Debug)]
pub struct InvoiceToSetAside {
    pub device: DeviceId,
    pub invoice: InvoiceId,
    /// The number that it holds and will give back.
    pub invoice_no: Option<i64>,
    pub merchant_id: Uuid,
    pub event_id: Option<Uuid>,
    pub attempts: u32,
    pub last_code: Option<String>,
    /// What KRA said last.
    pub last_error: Option<String>,
    /// The request that was sent last.
    pub body: Option<Vec<u8>>,
    state: InvoiceState,
}

impl InvoiceToSetAside {
    /// The words that the dead letter keeps.
    pub fn message(&self, reason: &str) -> String {
        match &self.last_error {
            Some(words) if !words.is_empty() => format!("{reason} (KRA said last: {words})"),
            _ => reason.to_owned(),
        }
    }

    fn read(device: DeviceId, invoice: InvoiceId, row: &Row) -> Result<Self, LedgerError> {
        let state: &str = row.try_get(0)?;
        Ok(Self {
            device,
            invoice,
            invoice_no: row.try_get(1)?,
            merchant_id: row.try_get(2)?,
            event_id: row.try_get(3)?,
            attempts: row.try_get::<_, i32>(4)?.unsigned_abs(),
            last_code: row.try_get(5)?,
            last_error: row.try_get(6)?,
            body: row.try_get(7)?,
            state: state.parse().map_err(|_| LedgerError::Stored {
                table: "invoices",
                column: "state",
                row: invoice.to_string(),
            })?,
        })
    }
}

impl Ledger {
    /// Reads an invoice that a person wants to set aside.
    ///
    /// # Errors
    /// A refusal for an invoice that is another device's, that is filed, dead or discarded already,
    /// that is in a worker's hands, or that waits for its sale. What becomes of the sale decides
    /// about such a credit note, and it holds up no lane.
    pub async fn invoice_to_set_aside(
        &self,
        device: DeviceId,
        invoice: InvoiceId,
    ) -> Result<InvoiceToSetAside, LaneRefusal> {
        let connection = self.connection().await?;
        let row = connection
            .query_opt(INVOICE, &[&invoice.uuid(), &device.uuid()])
            .await?
            .ok_or(LaneRefusal::NoSuchInvoice(invoice))?;
        let found = InvoiceToSetAside::read(device, invoice, &row)?;
        let claimed: bool = row.try_get(8).map_err(LedgerError::from)?;
        let eligible: bool = row.try_get(9).map_err(LedgerError::from)?;
        match found.state {
            InvoiceState::Pending if !eligible => Err(LaneRefusal::WaitsForItsSale(invoice)),
            InvoiceState::Submitting if claimed => Err(LaneRefusal::Held),
            InvoiceState::Pending | InvoiceState::Submitting => Ok(found),
            state => Err(LaneRefusal::CannotBeSetAside { invoice, state }),
        }
    }

    /// Makes the invoice a dead letter. Its message is in the dead-letter queue already
    /// (protocol E1).
    ///
    /// An invoice that holds a number is taken only while no worker has the lane, because its call
    /// may be under way. Of one that waits, the guard on its state is enough.
    pub async fn set_invoice_aside(
        &self,
        found: &InvoiceToSetAside,
        by: &OperatorAction,
    ) -> Result<(), LaneRefusal> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        if found.state == InvoiceState::Submitting
            && transaction.hold_lane(found.device).await? == LaneHold::Taken
        {
            return Err(LaneRefusal::Held);
        }

        let before = transaction
            .lane_before(found.device, Some(found.invoice.uuid()))
            .await?;
        let because = format!("set aside: {}", by.reason);
        let death = Death {
            device: found.device,
            from: found.state,
            strikes: None,
            moved_by: &by.operator,
            because: &because,
        };
        if !transaction.write_death(found.invoice, &death).await? {
            return Err(LaneRefusal::Overtaken(found.invoice));
        }
        let message = found.message(&by.reason);
        insert_invoice_dead_letter(
            &transaction,
            found.invoice,
            DeadCause::SetAside,
            found.last_code.as_deref(),
            &message,
        )
        .await?;
        if found.state == InvoiceState::Submitting {
            transaction
                .execute(DUE_AT_ONCE, &[&found.device.uuid()])
                .await?;
        }

        let subject = json!({ "invoice_no": found.invoice_no });
        transaction
            .record_lane_change("lanes set-aside", by, before, subject)
            .await?;
        Ok(transaction.commit().await?)
    }
}
