//! What a lane has to do next, with all that is needed for it.

use jiff::Timestamp;
use risiti_domain::{
    Buyer, BuyerName, DeviceId, InvoiceId, InvoiceKind, KraPin, PaymentMethod, Phone,
};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{Statement, statements};
use crate::lanes::leases::{Claim, LaneError};

/// What is read of a lane's work. `$number` is the number that a waiting invoice will get, and
/// `$invoice` finds the invoice.
///
/// It finds no row at all when the claim is gone, because it starts from the lease. `stored` is the
/// body to send again. A dead letter that was replayed gets a new one, which is what
/// `stale_submission` is for. A credit note names its sale's buyer. Sales from before the buyer was
/// stored named `N/A`.
macro_rules! lane_work {
    ($number:literal, $invoice:literal) => {
        concat!(
            "
        SELECT l.halted_at IS NOT NULL AS halted, coalesce(i.invoice_no, ",
            $number,
            ") AS no, l.retry_step,
               late.id AS late_id, late.look_up_no AS late_no, late.discard_wish AS late_wish,
               i.id, i.kind, i.state = 'submitting' AS holds_number, i.amount, i.strikes, i.strike_mark, i.rounds,
               i.first_sent_at, CASE WHEN i.unknown_since IS NOT NULL THEN greatest(i.unknown_since, l.resumed_at) END AS unknown_since,
               i.hidden_since, l.unanswered_since, i.refused_at IS NOT NULL AS refused,
               i.last_code, i.last_error, i.attempts, i.merchant_id, i.payment_id, i.event_id, e.trace_id,
               EXISTS (SELECT FROM submissions s WHERE s.invoice_id = i.id AND s.invoice_no = coalesce(i.invoice_no, ",
            $number,
            ")
                       AND (s.outcome IS NULL OR s.outcome = 'unknown')) AS ever_unknown,
               EXISTS (SELECT FROM submissions s WHERE s.device_id = l.device_id AND s.invoice_no = ",
            $number,
            "
                       AND s.invoice_id <> i.id AND (s.outcome IS NULL OR s.outcome = 'unknown')) AS others_unknown,
               stored.body,
               sale.invoice_no AS original_no, p.receipt, p.money_key, p.phone, p.method,
               coalesce(p.occurred_at, p.settled_at, p.recorded_at) AS occurred_at,
               coalesce(r.occurred_at, r.recorded_at) AS refunded_at,
               CASE WHEN i.kind = 'sale' THEN coalesce(i.buyer_name, d.walk_in_buyer) ELSE coalesce(sale.buyer_name, 'N/A')
                   END AS buyer_name,
               CASE WHEN i.kind = 'sale' THEN i.buyer_pin ELSE sale.buyer_pin END AS buyer_pin
        FROM lane_leases x
        JOIN lanes l ON l.device_id = x.device_id
        JOIN devices d ON d.id = x.device_id
        LEFT JOIN LATERAL (
            SELECT id, look_up_no, discard_wish FROM invoices
            WHERE device_id = l.device_id AND look_up_due_at <= now() ORDER BY look_up_due_at LIMIT 1
        ) late ON true
        LEFT JOIN LATERAL (
",
            $invoice,
            "        ) i ON true
        LEFT JOIN LATERAL (
            SELECT s.body FROM submissions s
            WHERE s.invoice_id = i.id AND s.invoice_no = coalesce(i.invoice_no, ",
            $number,
            ")
              AND s.id > i.stale_submission ORDER BY s.id DESC LIMIT 1
        ) stored ON true
        LEFT JOIN payments p ON p.id = i.payment_id
        LEFT JOIN events e ON e.id = i.event_id
        LEFT JOIN invoices sale ON sale.id = i.sale_id
        LEFT JOIN reversals r ON r.id = i.reversal_id
        WHERE x.device_id = $1 AND x.claim_id = $2"
        )
    };
}

statements! {
    /// The invoice that holds a number, else the oldest eligible one (protocol D2, D6). The union
    /// prefers the invoice that holds a number, and reads at most one waiting invoice.
    ///
    /// A sale's state is read by a scalar subquery. For an EXISTS the planner would put all filed
    /// invoices into a hash table as soon as a lane has a long backlog.
    NEXT = lane_work!("l.next_invoice_no", "
            SELECT * FROM (
                (SELECT 0 AS turn, o.* FROM invoices o WHERE o.device_id = l.device_id AND o.state = 'submitting')
                UNION ALL
                (SELECT 1, w.* FROM invoices w
                 WHERE w.device_id = l.device_id AND w.state = 'pending' AND (w.kind = 'sale'
                     OR (SELECT s.state FROM invoices s WHERE s.id = w.sale_id) = 'success')
                 ORDER BY w.position LIMIT 1)
            ) either ORDER BY turn LIMIT 1
        ");
    /// The invoice after the one that holds a number, if that is accepted.
    FOLLOWING = lane_work!("l.next_invoice_no + 1", "
            SELECT w.* FROM invoices w
            WHERE w.device_id = l.device_id AND w.state = 'pending' AND (w.kind = 'sale'
                OR (SELECT s.state FROM invoices s WHERE s.id = w.sale_id) = 'success')
            ORDER BY w.position LIMIT 1
        ");
}

/// What the holder of a lane finds there.
#[derive(Clone, Debug)]
pub enum LaneWork {
    Halted,
    Due {
        invoice: Option<Box<LaneInvoice>>,
        /// It waits for the invoices, and no longer than a turn (protocol D10).
        look_up: Option<LateLookUp>,
    },
}

/// A number to look up for an invoice that no longer holds it (protocol D10).
#[derive(Clone, Debug)]
pub struct LateLookUp {
    pub invoice: InvoiceId,
    pub invoice_no: i64,
    /// An operator wants the invoice discarded if KRA does not have it (protocol E4).
    pub discard: bool,
}

/// The invoice whose turn it is.
#[derive(Clone, Debug)]
pub struct LaneInvoice {
    pub id: InvoiceId,
    pub device: DeviceId,
    pub kind: InvoiceKind,
    /// The number it holds, or the one it will get.
    pub invoice_no: i64,
    /// Whether it holds the number already.
    pub holds_number: bool,
    pub total: Decimal,
    pub merchant_id: Uuid,
    pub payment_id: Uuid,
    /// The event that made it, for following it through the logs.
    pub event_id: Option<Uuid>,
    pub trace_id: Option<String>,
    pub original_invoice_no: Option<i64>,
    /// The provider's number of the payment, as the customer knows it.
    pub payment_number: String,
    pub buyer: Buyer,
    pub phone: Option<Phone>,
    pub method: PaymentMethod,
    pub occurred_at: Timestamp,
    pub refunded_at: Option<Timestamp>,
    pub first_sent_at: Option<Timestamp>,
    /// The bytes to send again under this number.
    pub body: Option<Vec<u8>>,
    pub history: History,
    /// How often the lane failed in a row.
    pub lane_failures: u32,
}

/// The history of an invoice's sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub attempts: u32,
    /// A send of this invoice under this number was never answered, in this round or an earlier
    /// one.
    pub ever_unknown: bool,
    /// A send of another invoice under this number was never answered, and may still arrive.
    pub others_unknown: bool,
    /// Since when nobody knows whether the number is taken. Nothing is sent before a look-up.
    pub unknown_since: Option<Timestamp>,
    /// Since when no look-up of the lane's next number was answered.
    pub unanswered_since: Option<Timestamp>,
    /// Since when KRA says that the number is taken and look-ups do not show it (protocol D9).
    pub hidden_since: Option<Timestamp>,
    /// KRA refused it, and it is not a dead letter yet.
    pub refused: bool,
    pub last_code: Option<String>,
    pub last_error: Option<String>,
    pub strikes: u32,
    /// When the last strike was counted, or the first failure.
    pub strike_mark: Option<Timestamp>,
    pub rounds: u32,
}

impl Ledger {
    /// Reads what the lane has to do next.
    pub async fn lane_work(&self, claim: &Claim) -> Result<LaneWork, LaneError> {
        let connection = self.connection().await?;
        let row = connection
            .query_opt(NEXT, &[&claim.device.uuid(), &claim.claim_id])
            .await?;
        claimed_work(claim, row)
    }

    /// Reads which invoice would be next, with which number, if the one that holds a number were
    /// accepted. `None` if the lane would have something else to do.
    pub async fn following_invoice(
        &self,
        claim: &Claim,
    ) -> Result<Option<Box<LaneInvoice>>, LaneError> {
        let connection = self.connection().await?;
        let row = connection
            .query_opt(FOLLOWING, &[&claim.device.uuid(), &claim.claim_id])
            .await?;
        Ok(match claimed_work(claim, row)? {
            LaneWork::Due { invoice, .. } => invoice,
            LaneWork::Halted => None,
        })
    }
}

/// The statement that finds what a lane has to do next: device, then claim.
pub(crate) const fn next_work() -> Statement {
    NEXT
}

/// Reads a row of [`next_work`]. Without the claim there is none.
pub(crate) fn claimed_work(claim: &Claim, row: Option<Row>) -> Result<LaneWork, LaneError> {
    let row = row.ok_or(LaneError::ClaimGone)?;
    Ok(read(claim.device, &row)?)
}

fn read(device: DeviceId, row: &Row) -> Result<LaneWork, LedgerError> {
    if row.try_get("halted")? {
        return Ok(LaneWork::Halted);
    }
    let invoice = match row.try_get::<_, Option<Uuid>>("id")? {
        None => None,
        Some(id) => Some(Box::new(invoice(device, id, row)?)),
    };
    Ok(LaneWork::Due {
        invoice,
        look_up: late_look_up(row)?,
    })
}

fn late_look_up(row: &Row) -> Result<Option<LateLookUp>, LedgerError> {
    let (Some(invoice), Some(invoice_no)) = (row.try_get("late_id")?, row.try_get("late_no")?)
    else {
        return Ok(None);
    };
    let wish: Option<&str> = row.try_get("late_wish")?;
    Ok(Some(LateLookUp {
        invoice: InvoiceId::from_uuid(invoice),
        invoice_no,
        discard: wish.is_some(),
    }))
}

fn invoice(device: DeviceId, id: Uuid, row: &Row) -> Result<LaneInvoice, LedgerError> {
    let unreadable = |table, column| LedgerError::Stored {
        table,
        column,
        row: id.to_string(),
    };
    let kind: &str = row.try_get("kind")?;
    let method: &str = row.try_get("method")?;
    let receipt: Option<String> = row.try_get("receipt")?;
    let money_key: Option<String> = row.try_get("money_key")?;
    let count = |column| Ok::<u32, LedgerError>(row.try_get::<_, i32>(column)?.unsigned_abs());
    Ok(LaneInvoice {
        id: InvoiceId::from_uuid(id),
        device,
        kind: kind.parse().map_err(|_| unreadable("invoices", "kind"))?,
        invoice_no: row.try_get("no")?,
        holds_number: row.try_get("holds_number")?,
        total: row.try_get("amount")?,
        merchant_id: row.try_get("merchant_id")?,
        payment_id: row.try_get("payment_id")?,
        event_id: row.try_get("event_id")?,
        trace_id: row.try_get("trace_id")?,
        original_invoice_no: row.try_get("original_no")?,
        payment_number: receipt
            .or(money_key)
            .ok_or_else(|| unreadable("payments", "receipt"))?,
        buyer: Buyer {
            name: BuyerName::parse(row.try_get("buyer_name")?)
                .ok_or_else(|| unreadable("invoices", "buyer_name"))?,
            pin: row
                .try_get::<_, Option<&str>>("buyer_pin")?
                .and_then(KraPin::parse),
        },
        phone: row
            .try_get::<_, Option<&str>>("phone")?
            .and_then(Phone::parse),
        method: method
            .parse()
            .map_err(|_| unreadable("payments", "method"))?,
        occurred_at: row.try_get("occurred_at")?,
        refunded_at: row.try_get("refunded_at")?,
        first_sent_at: row.try_get("first_sent_at")?,
        body: row.try_get("body")?,
        history: History {
            attempts: count("attempts")?,
            ever_unknown: row.try_get("ever_unknown")?,
            others_unknown: row.try_get("others_unknown")?,
            unknown_since: row.try_get("unknown_since")?,
            unanswered_since: row.try_get("unanswered_since")?,
            hidden_since: row.try_get("hidden_since")?,
            refused: row.try_get("refused")?,
            last_code: row.try_get("last_code")?,
            last_error: row.try_get("last_error")?,
            strikes: count("strikes")?,
            strike_mark: row.try_get("strike_mark")?,
            rounds: count("rounds")?,
        },
        lane_failures: count("retry_step")?,
    })
}
