//! Listing and counting flagged payments.

use jiff::Timestamp;
use risiti_domain::{PaymentId, PaymentState, Provider};
use rust_decimal::Decimal;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::flagged::reason::is_unregistered_code;

/// The condition that a payment `p` of merchant `m` is flagged and matches a filter, which is
/// parameters 1 to 3.
macro_rules! is_flagged {
    () => {
        "p.conflict AND p.state <> 'folded' AND ($1::text IS NULL OR m.slug = $1)
         AND ($2::timestamptz IS NULL OR p.flagged_at >= $2) AND (cardinality($3::uuid[]) = 0 OR p.id = ANY($3))"
    };
}

statements! {
    /// Refunds fit when they and what is credited come to no more than the sale. Where messages do
    /// not say how much went back, something has to be left for it.
    PAGE = concat!("
        SELECT p.id, m.slug, p.provider, p.state, p.amount, p.currency, p.receipt, p.short_code, p.reason,
               p.flagged_at, p.recorded_at,
               p.money_key IS NOT NULL AND p.authenticated_by IS NOT NULL AND p.amount > 0 AS claims_money,
               (SELECT count(*) FROM reversals r WHERE r.payment_id = p.id AND r.merchant_id = p.merchant_id
                    AND r.provider = p.provider AND r.of_money_key = p.money_key
                    AND r.state IN ('excess', 'unstated')) AS undecided_reversals,
               (SELECT coalesce(bool_and(r.currency = p.currency)
                        FILTER (WHERE r.state = 'excess' AND r.amount IS NOT NULL), true)
                    AND coalesce(sum(r.credited), 0) + coalesce(sum(r.amount) FILTER (WHERE r.state = 'excess'), 0)
                        + CASE WHEN bool_or(r.state = 'unstated') THEN 0.01 ELSE 0 END <= p.amount
                FROM reversals r WHERE r.payment_id = p.id AND r.merchant_id = p.merchant_id
                    AND r.provider = p.provider AND r.of_money_key = p.money_key) AS reversals_fit
        FROM payments p JOIN merchants m ON m.id = p.merchant_id
        WHERE ", is_flagged!(), " AND (p.recorded_at, p.id) > ($4, $5)
        ORDER BY p.recorded_at, p.id LIMIT $6");
    COUNT = concat!("
        SELECT count(*) FROM payments p JOIN merchants m ON m.id = p.merchant_id WHERE ", is_flagged!());
}

/// Which flagged payments. The empty filter takes all.
#[derive(Clone, Debug, Default)]
pub struct FlaggedFilter {
    /// The merchant's slug.
    pub merchant: Option<String>,
    /// Only those that were flagged from then on.
    pub since: Option<Timestamp>,
    /// None means any.
    pub ids: Vec<Uuid>,
}

/// A flagged payment as a list shows it. Scripts rely on the keys it is serialised with.
#[derive(Clone, Debug, Serialize)]
pub struct FlaggedPayment {
    pub payment_id: PaymentId,
    pub merchant: String,
    pub provider: Provider,
    pub state: PaymentState,
    pub amount: Option<Decimal>,
    pub currency: Option<String>,
    pub receipt: Option<String>,
    pub short_code: Option<String>,
    pub reason: Option<String>,
    pub flagged_at: Option<Timestamp>,
    pub recorded_at: Timestamp,
    /// What settling it would do.
    pub settling: Settling,
}

/// What settling a flagged payment would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Settling {
    CountsItAsPaid,
    CreditsWhatWentBack,
    /// It counts by itself once its short code is registered.
    CountsOnceRegistered,
    /// It can only be dismissed.
    Nothing,
}

impl Ledger {
    /// Reads a page of flagged payments, in the order in which they were recorded, after `last`.
    pub async fn flagged_payments(
        &self,
        filter: &FlaggedFilter,
        last: Option<&FlaggedPayment>,
        limit: u32,
    ) -> Result<Vec<FlaggedPayment>, LedgerError> {
        let (at, id) = last.map_or((Timestamp::UNIX_EPOCH, Uuid::nil()), |last| {
            (last.recorded_at, last.payment_id.uuid())
        });
        let rows = self
            .connection()
            .await?
            .query(
                PAGE,
                &[
                    &filter.merchant,
                    &filter.since,
                    &filter.ids,
                    &at,
                    &id,
                    &i64::from(limit),
                ],
            )
            .await?;
        rows.iter().map(flagged_payment).collect()
    }

    /// Counts the flagged payments that a filter takes.
    pub async fn count_flagged(&self, filter: &FlaggedFilter) -> Result<u64, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_one(COUNT, &[&filter.merchant, &filter.since, &filter.ids])
            .await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }
}

fn flagged_payment(row: &Row) -> Result<FlaggedPayment, LedgerError> {
    let id: Uuid = row.try_get("id")?;
    let unreadable = |column| LedgerError::Stored {
        table: "payments",
        column,
        row: id.to_string(),
    };
    let provider: &str = row.try_get("provider")?;
    let state: &str = row.try_get("state")?;
    let state: PaymentState = state.parse().map_err(|_| unreadable("state"))?;
    let claims_money: Option<bool> = row.try_get("claims_money")?;
    let undecided: i64 = row.try_get("undecided_reversals")?;
    let fits: Option<bool> = row.try_get("reversals_fit")?;
    let fits = undecided == 0 || fits == Some(true);
    let reason: Option<String> = row.try_get("reason")?;
    Ok(FlaggedPayment {
        payment_id: PaymentId::from_uuid(id),
        merchant: row.try_get("slug")?,
        provider: provider.parse().map_err(|_| unreadable("provider"))?,
        state,
        amount: row.try_get("amount")?,
        currency: row.try_get("currency")?,
        receipt: row.try_get("receipt")?,
        short_code: row.try_get("short_code")?,
        settling: match state {
            _ if reason.as_deref().is_some_and(is_unregistered_code) => {
                Settling::CountsOnceRegistered
            }
            PaymentState::Pending | PaymentState::Failed if claims_money == Some(true) && fits => {
                Settling::CountsItAsPaid
            }
            PaymentState::Success | PaymentState::Reversed if undecided > 0 && fits => {
                Settling::CreditsWhatWentBack
            }
            _ => Settling::Nothing,
        },
        reason,
        flagged_at: row.try_get("flagged_at")?,
        recorded_at: row.try_get("recorded_at")?,
    })
}
