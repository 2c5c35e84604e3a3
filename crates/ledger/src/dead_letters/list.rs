//! Listing and counting dead letters by a filter. Nothing here consumes a message (protocol E2).

use jiff::Timestamp;
use risiti_domain::{DeadCause, DeviceId, EventId, InvoiceId};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

/// The condition that a row `d` with its merchant `m` matches a filter, which is parameters 1 to 5,
/// 7 and 8. Whether the row is open is a condition of its own, `in_scope`.
macro_rules! matches_filter {
    () => {
        "($1::text IS NULL OR m.slug = $1) AND ($2::text IS NULL OR d.cause = $2)
         AND ($3::text IS NULL OR d.code = $3) AND ($4::timestamptz IS NULL OR d.dead_at >= $4)
         AND (cardinality($5::uuid[]) = 0 OR d.id = ANY($5))
         AND ($7::text IS NULL OR strpos(lower(d.message), lower($7)) > 0)
         AND ($8::uuid IS NULL OR d.device_id = $8)"
    };
}
pub(crate) use matches_filter;

/// The condition that a row is in the scope that parameter 6 names.
macro_rules! in_scope {
    () => {
        "CASE $6::text WHEN 'all' THEN true WHEN 'discarded' THEN d.solved_as IS NOT DISTINCT FROM 'discarded'
         WHEN 'replayable' THEN d.solved_at IS NULL
             AND (SELECT w.discard_wish FROM invoices w WHERE w.id = d.invoice_id) IS NULL
         ELSE d.solved_at IS NULL END"
    };
}
pub(crate) use in_scope;

/// What a list shows of the dead letters that a filter takes.
macro_rules! columns {
    () => {
        concat!("
        SELECT d.id, m.slug, d.device_id, d.cause, d.code, d.message, d.attempts, d.invoice_id, d.event_id,
               d.amount, d.currency, d.dead_at, d.replays,
               (SELECT w.discard_wish FROM invoices w WHERE w.id = d.invoice_id),
               (SELECT p.receipt FROM payments p
                WHERE p.id = (SELECT i.payment_id FROM invoices i WHERE i.id = d.invoice_id))
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE ", matches_filter!(), " AND ", in_scope!())
    };
}

statements! {
    OLDEST_FIRST = concat!(columns!(), " AND (d.dead_at, d.id) > ($9, $10)
        ORDER BY d.dead_at, d.id LIMIT $11");
    NEWEST_FIRST = concat!(columns!(), " AND (d.dead_at, d.id) < ($9, $10)
        ORDER BY d.dead_at DESC, d.id DESC LIMIT $11");
    /// Words are alike but for the numbers in them, such as the invoice's.
    COUNTS = concat!("
        SELECT d.cause, d.code, count(*), min(d.dead_at), regexp_replace(d.message, '[0-9]+', 'N', 'g')
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE ", matches_filter!(), " AND ", in_scope!(), "
        GROUP BY d.cause, d.code, 5 ORDER BY count(*) DESC, d.cause, d.code, 5");
    /// Refusals of KRA whose device nobody has changed since. The changes are put together first,
    /// so that many of them are not compared with each of many dead letters.
    UNCHANGED = concat!("
        SELECT count(*) FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        LEFT JOIN (SELECT a.filter ->> 'device_id' AS device, max(a.at) AS at FROM operator_actions a
            WHERE a.command = 'device update' GROUP BY 1) changed ON changed.device = d.device_id::text
        WHERE ", matches_filter!(), " AND ", in_scope!(), " AND d.cause = 'refused'
          AND (changed.at IS NULL OR changed.at <= d.dead_at)");
    MERCHANT = "SELECT EXISTS (SELECT FROM merchants WHERE slug = $1)";
}

/// Which dead letters. The empty filter takes all that are open.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DeadLetterFilter {
    /// The merchant's slug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<DeadCause>,
    /// KRA's result code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A part of KRA's words or of the error, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Only dead letters from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Ids of dead letters, which for invoices are the invoices' ids. None means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<Uuid>,
    /// `operator_actions.filter` keeps this under its older name.
    #[serde(rename = "part")]
    pub scope: DeadLetterScope,
}

/// Which part of all dead letters, solved ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterScope {
    /// Those that are open.
    #[default]
    Waiting,
    /// Those that are open and that nobody wants discarded (protocol E4).
    Replayable,
    /// Those that were discarded.
    Discarded,
    All,
}

/// In which order dead letters are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl DeadLetterScope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replayable => "replayable",
            Self::Discarded => "discarded",
            Self::All => "all",
        }
    }
}

/// Parameters 1 to 8 of a statement with a filter.
pub(crate) struct FilterParams<'a> {
    device: Option<Uuid>,
    cause: Option<&'static str>,
    scope: &'static str,
    filter: &'a DeadLetterFilter,
}

impl DeadLetterFilter {
    /// The states before and after, for the audit of a run that moves what this filter takes.
    pub fn moved_to(&self, to: &str) -> Value {
        let from = match self.scope {
            DeadLetterScope::Discarded => "discarded",
            _ => "waiting",
        };
        json!({ "dead_letters": [from, to] })
    }

    pub(crate) fn params(&self) -> FilterParams<'_> {
        FilterParams {
            device: self.device.map(DeviceId::uuid),
            cause: self.cause.map(DeadCause::as_str),
            scope: self.scope.as_str(),
            filter: self,
        }
    }
}

impl FilterParams<'_> {
    /// These parameters and those that follow them.
    pub(crate) fn with<'a>(
        &'a self,
        more: &[&'a (dyn ToSql + Sync)],
    ) -> Vec<&'a (dyn ToSql + Sync)> {
        let filter = self.filter;
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![
            &filter.merchant,
            &self.cause,
            &filter.code,
            &filter.since,
            &filter.ids,
            &self.scope,
            &filter.message,
            &self.device,
        ];
        params.extend_from_slice(more);
        params
    }
}

/// A dead letter as a list shows it. Scripts rely on the keys it is serialised with.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    pub dead_letter_id: Uuid,
    /// The merchant's slug. `None` where not even the merchant could be read.
    pub merchant: Option<String>,
    pub device_id: Option<DeviceId>,
    pub cause: DeadCause,
    /// KRA's result code, if it gave one.
    pub code: Option<String>,
    pub message: Option<String>,
    pub attempts: i32,
    pub invoice_id: Option<InvoiceId>,
    pub event_id: Option<EventId>,
    pub amount: Option<Decimal>,
    pub currency: Option<String>,
    pub dead_at: Timestamp,
    pub replays: i32,
    /// Why somebody wants it discarded, while its lane still asks KRA.
    pub discard_wish: Option<String>,
    /// What the customer has in hand: the M-Pesa receipt, Paystack's reference or Gumroad's order
    /// number.
    pub receipt: Option<String>,
}

/// How many dead letters have one cause, code and words.
#[derive(Clone, Debug, Serialize)]
pub struct CauseCount {
    pub cause: DeadCause,
    pub code: Option<String>,
    /// KRA's words or the error, with N for each number.
    pub message: Option<String>,
    pub count: i64,
    pub oldest: Timestamp,
}

impl Ledger {
    /// Lists at most `limit` dead letters in an order, from the one after `after`.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        order: ListOrder,
        after: Option<&DeadLetter>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        let (statement, start) = match order {
            ListOrder::OldestFirst => (OLDEST_FIRST, (Timestamp::UNIX_EPOCH, Uuid::nil())),
            ListOrder::NewestFirst => (NEWEST_FIRST, (Timestamp::MAX, Uuid::max())),
        };
        let (at, id) = after.map_or(start, |last| (last.dead_at, last.dead_letter_id));
        let limit = i64::from(limit);
        let params = filter.params();
        let rows = self
            .connection()
            .await?
            .query(statement, &params.with(&[&at, &id, &limit]))
            .await?;
        rows.iter().map(read).collect()
    }

    /// Counts dead letters by cause, code and words, the most frequent first.
    pub async fn count_dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<CauseCount>, LedgerError> {
        let params = filter.params();
        let rows = self
            .connection()
            .await?
            .query(COUNTS, &params.with(&[]))
            .await?;
        rows.iter()
            .map(|row| {
                let code: Option<String> = row.try_get(1)?;
                let cause = cause(row.try_get(0)?, &code.clone().unwrap_or_default())?;
                Ok(CauseCount {
                    cause,
                    code,
                    message: row.try_get(4)?,
                    count: row.try_get(2)?,
                    oldest: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Counts refusals of KRA whose device nobody has changed since. Unless something was changed
    /// at KRA, they will be refused again.
    pub async fn count_unchanged_refusals(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<u64, LedgerError> {
        let params = filter.params();
        let connection = self.connection().await?;
        let row = connection.query_one(UNCHANGED, &params.with(&[])).await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }

    /// Whether there is a merchant of that slug.
    pub async fn merchant_exists(&self, slug: &str) -> Result<bool, LedgerError> {
        Ok(self
            .connection()
            .await?
            .query_one(MERCHANT, &[&slug])
            .await?
            .try_get(0)?)
    }
}

fn read(row: &Row) -> Result<DeadLetter, LedgerError> {
    let id: Uuid = row.try_get(0)?;
    Ok(DeadLetter {
        dead_letter_id: id,
        merchant: row.try_get(1)?,
        device_id: row.try_get::<_, Option<Uuid>>(2)?.map(DeviceId::from_uuid),
        cause: cause(row.try_get(3)?, &id.to_string())?,
        code: row.try_get(4)?,
        message: row.try_get(5)?,
        attempts: row.try_get(6)?,
        invoice_id: row.try_get::<_, Option<Uuid>>(7)?.map(InvoiceId::from_uuid),
        event_id: row.try_get::<_, Option<Uuid>>(8)?.map(EventId::from_uuid),
        amount: row.try_get(9)?,
        currency: row.try_get(10)?,
        dead_at: row.try_get(11)?,
        replays: row.try_get(12)?,
        discard_wish: row.try_get(13)?,
        receipt: row.try_get(14)?,
    })
}

pub(crate) fn cause(text: &str, row: &str) -> Result<DeadCause, LedgerError> {
    let unreadable = |_| LedgerError::Stored {
        table: "dead_letters",
        column: "cause",
        row: row.to_owned(),
    };
    text.parse().map_err(unreadable)
}
