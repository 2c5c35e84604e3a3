//! What a replay would send to KRA, by device.

use risiti_domain::{DeviceId, LaneState};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::list::{DeadLetterFilter, in_scope, matches_filter};

statements! {
    /// The amounts are sums of the invoices' own, since a dead letter only repeats them.
    WOULD_SEND = concat!("
        SELECT l.device_id, lane_state(l.device_id, l.halted_at IS NOT NULL), l.next_invoice_no, taken.sales,
            taken.sold, taken.credit_notes, taken.credited, taken.credit_notes_that_wait
        FROM (
            SELECT i.device_id, count(*) FILTER (WHERE i.kind = 'sale') AS sales,
                coalesce(sum(i.amount) FILTER (WHERE i.kind = 'sale'), 0) AS sold,
                count(*) FILTER (WHERE i.kind = 'credit_note') AS credit_notes,
                coalesce(sum(i.amount) FILTER (WHERE i.kind = 'credit_note'), 0) AS credited,
                count(*) FILTER (WHERE i.kind = 'credit_note' AND sale.state <> 'success') AS credit_notes_that_wait
            FROM (
                SELECT d.invoice_id FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
                WHERE ", matches_filter!(), " AND ", in_scope!(), " AND d.invoice_id IS NOT NULL
                ORDER BY d.dead_at, d.id LIMIT $9
            ) d
            JOIN invoices i ON i.id = d.invoice_id
            LEFT JOIN invoices sale ON sale.id = i.sale_id
            GROUP BY i.device_id
        ) taken
        JOIN lanes l ON l.device_id = taken.device_id
        ORDER BY taken.sales + taken.credit_notes DESC, l.device_id");
}

/// What would be sent for one device. It serialises with the keys that scripts rely on.
#[derive(Clone, Debug, Serialize)]
pub struct WouldSend {
    pub device_id: DeviceId,
    pub lane_state: LaneState,
    /// The first number that the lane would use. Other work of the lane may come first.
    pub next_invoice_no: i64,
    pub sales: i64,
    /// The sum of the sales, in KES.
    pub sold: Decimal,
    pub credit_notes: i64,
    /// The sum of the credit notes, in KES.
    pub credited: Decimal,
    /// How many of the credit notes wait until KRA has their sale (protocol C9).
    pub credit_notes_that_wait: i64,
}

impl Ledger {
    /// Tells what a replay of at most `limit` dead letters would send.
    pub async fn would_send(
        &self,
        filter: &DeadLetterFilter,
        limit: Option<u64>,
    ) -> Result<Vec<WouldSend>, LedgerError> {
        let limit = limit.and_then(|limit| i64::try_from(limit).ok());
        let params = filter.params();
        let connection = self.connection().await?;
        let rows = connection
            .query(WOULD_SEND, &params.with(&[&limit]))
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<WouldSend, LedgerError> {
    let device: Uuid = row.try_get(0)?;
    let lane_state: &str = row.try_get(1)?;
    Ok(WouldSend {
        device_id: DeviceId::from_uuid(device),
        lane_state: lane_state.parse().map_err(|_| LedgerError::Stored {
            table: "lanes",
            column: "lane_state",
            row: device.to_string(),
        })?,
        next_invoice_no: row.try_get(2)?,
        sales: row.try_get(3)?,
        sold: row.try_get(4)?,
        credit_notes: row.try_get(5)?,
        credited: row.try_get(6)?,
        credit_notes_that_wait: row.try_get(7)?,
    })
}
