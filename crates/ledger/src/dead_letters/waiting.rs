//! Invoices that wait to be filed, as `discard --waiting` and `list --waiting` take them.
//!
//! A credit note whose sale is not filed is not among them, because what becomes of the sale
//! decides about it (protocol C9).

use jiff::Timestamp;
use risiti_domain::{DeviceId, InvoiceId, LaneState};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

/// The condition that an invoice `i` of merchant `m` waits and matches a filter, which is
/// parameters 1 to 4.
macro_rules! waits_to_be_filed {
    () => {
        "i.state IN ('pending', 'submitting')
         AND (i.kind = 'sale' OR (SELECT sale.state FROM invoices sale WHERE sale.id = i.sale_id) = 'success')
         AND ($1::text IS NULL OR m.slug = $1) AND ($2::uuid IS NULL OR i.device_id = $2)
         AND ($3::timestamptz IS NULL OR i.created_at >= $3)
         AND (cardinality($4::uuid[]) = 0 OR i.id = ANY($4))"
    };
}
pub(crate) use waits_to_be_filed;

/// The condition that KRA may have an invoice `i`: it is out, a look-up is due or a send of it was
/// never answered.
macro_rules! may_be_at_kra {
    () => {
        "(i.state = 'submitting' OR i.look_up_no IS NOT NULL OR EXISTS (SELECT FROM submissions s
            WHERE s.invoice_id = i.id AND (s.outcome IS NULL OR s.outcome = 'unknown')))"
    };
}
pub(crate) use may_be_at_kra;

statements! {
    WAITING = concat!("
        SELECT i.id, m.slug, i.device_id, i.kind, i.state, i.amount, i.currency, i.created_at,
            lane_state(l.device_id, l.halted_at IS NOT NULL),
            (SELECT p.receipt FROM payments p WHERE p.id = i.payment_id), ", may_be_at_kra!(), "
        FROM invoices i JOIN merchants m ON m.id = i.merchant_id JOIN lanes l ON l.device_id = i.device_id
        WHERE ", waits_to_be_filed!(), " AND (i.created_at, i.id) > ($5, $6)
        ORDER BY i.created_at, i.id LIMIT $7");
}

/// Which invoices that wait. The empty filter takes all.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WaitingFilter {
    /// The merchant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Only invoices that were owed from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// None means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Uuid>,
}

impl WaitingFilter {
    /// Parameters 1 to 4 of a statement with this filter, and those that follow them.
    pub(crate) fn params<'a>(
        &'a self,
        device: &'a Option<Uuid>,
        more: &[&'a (dyn ToSql + Sync)],
    ) -> Vec<&'a (dyn ToSql + Sync)> {
        let mut params: Vec<&(dyn ToSql + Sync)> =
            vec![&self.merchant, device, &self.since, &self.ids];
        params.extend_from_slice(more);
        params
    }
}

/// An invoice that waits. Scripts rely on the keys it is serialised with.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingInvoice {
    pub invoice_id: InvoiceId,
    /// The merchant's slug.
    pub merchant: String,
    pub device_id: DeviceId,
    /// `sale` or `credit_note`.
    pub kind: String,
    /// `pending` or `submitting`.
    pub state: String,
    pub amount: Decimal,
    pub currency: String,
    pub created_at: Timestamp,
    pub lane_state: LaneState,
    /// What the customer has in hand.
    pub receipt: Option<String>,
    /// Whether a send of it may have reached KRA. Such an invoice is set aside first.
    pub may_be_at_kra: bool,
}

impl Ledger {
    /// Reads a page of invoices that wait, oldest first, after `last`.
    pub async fn waiting_invoices(
        &self,
        filter: &WaitingFilter,
        last: Option<&WaitingInvoice>,
        limit: u32,
    ) -> Result<Vec<WaitingInvoice>, LedgerError> {
        let (at, id) = last.map_or((Timestamp::UNIX_EPOCH, Uuid::nil()), |last| {
            (last.created_at, last.invoice_id.uuid())
        });
        let limit = i64::from(limit);
        let device = filter.device.map(DeviceId::uuid);
        let params = filter.params(&device, &[&at, &id, &limit]);
        let rows = self.connection().await?.query(WAITING, &params).await?;
        rows.iter().map(waiting_invoice).collect()
    }
}

fn waiting_invoice(row: &Row) -> Result<WaitingInvoice, LedgerError> {
    let id: Uuid = row.try_get(0)?;
    let lane_state: &str = row.try_get(8)?;
    Ok(WaitingInvoice {
        invoice_id: InvoiceId::from_uuid(id),
        merchant: row.try_get(1)?,
        device_id: DeviceId::from_uuid(row.try_get(2)?),
        kind: row.try_get(3)?,
        state: row.try_get(4)?,
        amount: row.try_get(5)?,
        currency: row.try_get(6)?,
        created_at: row.try_get(7)?,
        lane_state: lane_state.parse().map_err(|_| LedgerError::Stored {
            table: "lanes",
            column: "lane_state",
            row: id.to_string(),
        })?,
        receipt: row.try_get(9)?,
        may_be_at_kra: row.try_get(10)?,
    })
}
