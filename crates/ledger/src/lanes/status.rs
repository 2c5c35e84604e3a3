//! Lanes as a person sees them. `risiti-admin device show` and `risiti-replay lanes list` show the
//! same.

use jiff::Timestamp;
use risiti_domain::{DeviceId, InvoiceId, LaneState};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::lanes::evidence::FoundAtKra;

statements! {
    /// Pending counts only what could be filed now, because a credit note waits for its sale
    /// (protocol D2).
    ///
    /// The last send is the newer one of the next number and of the highest number before it. After
    /// `device update --next-invoice-no` a number that is the next again has an old send. What KRA
    /// accepted leaves no words.
    LANE_STATUS = "SELECT d.id, m.slug, d.environment, d.dialect, d.pin, d.branch, d.serial, d.base_url,
        lane_state(d.id, l.halted_at IS NOT NULL), l.halt_reason, l.next_invoice_no,
        coalesce(work.pending, 0), coalesce(work.submitting, 0), coalesce(work.dead, 0),
        work.oldest_pending_seconds, l.last_outcome, l.last_call_at, l.retry_at,
        l.host, h.breaker, h.retry_at, l.halted_at, work.oldest_seconds, last.code, last.message,
        last.invoice_no, last.answered_at, held.id, held.invoice_no, held.amount,
        (SELECT p.receipt FROM payments p WHERE p.id = held.payment_id), held.hidden_since,
        CASE WHEN held.unknown_since IS NOT NULL THEN greatest(held.unknown_since, l.resumed_at) END,
        l.halt_remedy, l.found, l.expected_no
        FROM devices d
        JOIN merchants m ON m.id = d.merchant_id
        JOIN lanes l ON l.device_id = d.id
        LEFT JOIN hosts h ON h.host = l.host
        LEFT JOIN invoices held ON held.device_id = d.id AND held.state = 'submitting'
        LEFT JOIN LATERAL (
            SELECT CASE WHEN s.outcome = 'ok' OR l.last_outcome = 'ok' THEN NULL ELSE s.code END AS code,
                CASE WHEN s.outcome = 'ok' OR l.last_outcome = 'ok' THEN NULL ELSE s.message END AS message,
                s.invoice_no, s.answered_at
            FROM ((SELECT a.id, a.invoice_no, a.outcome, a.code, a.message, a.answered_at FROM submissions a
                    WHERE a.device_id = d.id AND a.invoice_no = l.next_invoice_no ORDER BY a.id DESC LIMIT 1)
                UNION ALL (SELECT b.id, b.invoice_no, b.outcome, b.code, b.message, b.answered_at FROM submissions b
                    WHERE b.device_id = d.id AND b.invoice_no < l.next_invoice_no
                    ORDER BY b.invoice_no DESC, b.id DESC LIMIT 1)) s
            ORDER BY s.id DESC LIMIT 1
        ) last ON true
        LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE i.state = 'pending' AND eligible) AS pending,
                count(*) FILTER (WHERE i.state = 'submitting') AS submitting,
                count(*) FILTER (WHERE i.state = 'dead') AS dead,
                extract(epoch FROM now() - min(i.created_at) FILTER (WHERE i.state = 'pending' AND eligible))::bigint
                    AS oldest_pending_seconds,
                extract(epoch FROM now() - min(i.created_at)
                    FILTER (WHERE i.state = 'submitting' OR i.state = 'pending' AND eligible))::bigint AS oldest_seconds
            FROM (SELECT i.state, i.created_at,
                    i.kind = 'sale'
                        OR (SELECT sale.state FROM invoices sale WHERE sale.id = i.sale_id) = 'success' AS eligible
                FROM invoices i
                WHERE i.device_id = d.id AND i.state IN ('pending', 'submitting', 'dead')) i
        ) work ON true
        WHERE ($1::uuid IS NULL OR d.id = $1) AND ($2::text IS NULL OR m.slug = $2)
          AND ($3::text IS NULL OR strpos(l.host, $3) > 0) AND (NOT $4 OR l.halted_at IS NOT NULL)
          AND ($5::text IS NULL OR strpos(l.halt_reason, $5) > 0)
        ORDER BY m.slug, d.environment, d.pin, d.branch";
}

/// The state of a lane. It serialises with the keys that documents and scripts rely on.
#[derive(Clone, Debug, Serialize)]
pub struct LaneStatus {
    pub device_id: DeviceId,
    /// The merchant's slug.
    pub merchant: String,
    pub environment: String,
    pub dialect: String,
    pub pin: String,
    pub branch: String,
    pub serial: String,
    pub base_url: String,
    pub lane_state: LaneState,
    pub halt_reason: Option<String>,
    pub next_invoice_no: i64,
    /// Invoices that could be sent now.
    pub pending: i64,
    pub submitting: i64,
    pub dead: i64,
    /// Age of the oldest of `pending`.
    pub oldest_pending_seconds: Option<i64>,
    pub last_outcome: Option<String>,
    pub last_call_at: Option<Timestamp>,
    pub retry_at: Option<Timestamp>,
    pub host: String,
    /// The host's breaker: `closed`, `trying` or `open`.
    pub breaker: Option<String>,
    /// When the host is tried again.
    pub host_retry_at: Option<Timestamp>,
    pub halted_at: Option<Timestamp>,
    /// Age of the oldest invoice that is out or could be sent.
    pub oldest_seconds: Option<i64>,
    /// KRA's code and words at the last send. None once KRA has accepted a sale.
    pub last_code: Option<String>,
    pub last_message: Option<String>,
    pub last_send: Option<LastSend>,
    /// The invoice that is out.
    pub held: Option<HeldInvoice>,
    /// The command that ends the halt (protocol D15).
    pub halt_remedy: Option<String>,
    /// What the look-up showed that halted the lane.
    pub found: Option<FoundAtKra>,
    /// The number that KRA said it expects next.
    pub expected_invoice_no: Option<i64>,
    /// When the lane halts if its number is not settled before.
    pub looked_up_until: Option<Timestamp>,
    /// What a waiting lane does about its number, in words.
    pub progress: Option<String>,
    /// What KRA has or expects, in words, where the lane is halted.
    pub evidence: Option<String>,
    /// The one thing to do first.
    pub first_action: Option<String>,
}

/// The last send of a lane.
#[derive(Clone, Debug, Serialize)]
pub struct LastSend {
    pub invoice_no: i64,
    pub answered_at: Option<Timestamp>,
}

/// The invoice that holds a number and is not settled.
#[derive(Clone, Debug, Serialize)]
pub struct HeldInvoice {
    pub invoice_id: InvoiceId,
    pub invoice_no: Option<i64>,
    pub amount: Decimal,
    /// What its customer has in hand.
    pub receipt: Option<String>,
    /// Since when KRA calls the number taken and look-ups do not show it (protocol D9).
    pub hidden_since: Option<Timestamp>,
    /// Since when nobody knows whether the number is taken. A halt that ended starts it over.
    pub unknown_since: Option<Timestamp>,
}

/// Which lanes. The empty filter takes all.
#[derive(Clone, Debug, Default)]
pub struct LaneFilter {
    pub device: Option<DeviceId>,
    /// The merchant's slug.
    pub merchant: Option<String>,
    /// A part of the host.
    pub host: Option<String>,
    pub halted: bool,
    /// A part of the reason of the halt.
    pub reason_like: Option<String>,
}

impl Ledger {
    /// Reads every lane, ordered by merchant.
    pub async fn lane_statuses(&self) -> Result<Vec<LaneStatus>, LedgerError> {
        self.lanes_of(&LaneFilter::default()).await
    }

    /// Reads the lanes that a filter takes, ordered by merchant.
    pub async fn lanes_of(&self, filter: &LaneFilter) -> Result<Vec<LaneStatus>, LedgerError> {
        let device = filter.device.map(|device| device.uuid());
        let rows = self
            .connection()
            .await?
            .query(
                LANE_STATUS,
                &[
                    &device,
                    &filter.merchant,
                    &filter.host,
                    &filter.halted,
                    &filter.reason_like,
                ],
            )
            .await?;
        rows.iter().map(read).collect()
    }

    /// Reads one lane. It is `None` when there is no such device.
    pub async fn lane_status(&self, device: DeviceId) -> Result<Option<LaneStatus>, LedgerError> {
        let filter = LaneFilter {
            device: Some(device),
            ..LaneFilter::default()
        };
        Ok(self.lanes_of(&filter).await?.pop())
    }
}

fn read(row: &Row) -> Result<LaneStatus, LedgerError> {
    let status = LaneStatus {
        device_id: DeviceId::from_uuid(row.try_get(0)?),
        merchant: row.try_get(1)?,
        environment: row.try_get(2)?,
        dialect: row.try_get(3)?,
        pin: row.try_get(4)?,
        branch: row.try_get(5)?,
        serial: row.try_get(6)?,
        base_url: row.try_get(7)?,
        lane_state: lane_state(row)?,
        halt_reason: row.try_get(9)?,
        next_invoice_no: row.try_get(10)?,
        pending: row.try_get(11)?,
        submitting: row.try_get(12)?,
        dead: row.try_get(13)?,
        oldest_pending_seconds: row.try_get(14)?,
        last_outcome: row.try_get(15)?,
        last_call_at: row.try_get(16)?,
        retry_at: row.try_get(17)?,
        host: row.try_get(18)?,
        breaker: row.try_get(19)?,
        host_retry_at: row.try_get(20)?,
        halted_at: row.try_get(21)?,
        oldest_seconds: row.try_get(22)?,
        last_code: row.try_get(23)?,
        last_message: row.try_get(24)?,
        last_send: last_send(row)?,
        held: held_invoice(row)?,
        halt_remedy: row.try_get(33)?,
        found: row
            .try_get::<_, Option<Json<FoundAtKra>>>(34)?
            .map(|Json(found)| found),
        expected_invoice_no: row.try_get(35)?,
        looked_up_until: None,
        progress: None,
        evidence: None,
        first_action: None,
    };
    Ok(status.with_advice())
}

fn last_send(row: &Row) -> Result<Option<LastSend>, LedgerError> {
    let Some(invoice_no) = row.try_get(25)? else {
        return Ok(None);
    };
    Ok(Some(LastSend {
        invoice_no,
        answered_at: row.try_get(26)?,
    }))
}

fn held_invoice(row: &Row) -> Result<Option<HeldInvoice>, LedgerError> {
    let Some(id) = row.try_get(27)? else {
        return Ok(None);
    };
    Ok(Some(HeldInvoice {
        invoice_id: InvoiceId::from_uuid(id),
        invoice_no: row.try_get(28)?,
        amount: row.try_get(29)?,
        receipt: row.try_get(30)?,
        hidden_since: row.try_get(31)?,
        unknown_since: row.try_get(32)?,
    }))
}

/// Parses what the database function `lane_state` returns.
fn lane_state(row: &Row) -> Result<LaneState, LedgerError> {
    let text: &str = row.try_get(8)?;
    text.parse().map_err(|_| LedgerError::Stored {
        table: "lanes",
        column: "lane_state",
        row: row.try_get::<_, Uuid>(0).unwrap_or_default().to_string(),
    })
}
