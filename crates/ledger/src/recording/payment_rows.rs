//! Reading payments under lock by any of their keys.

use jiff::Timestamp;
use risiti_domain::{Currency, MerchantId, Money, PaymentId};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::keys::Keys;
use crate::recording::payment::Payment;

statements! {
    /// Every payment that has one of the given money keys, checkout ids or references.
    ///
    /// The rows are locked in id order, so that two batches that share payments lock them in the
    /// same order (protocol C6). The state is asked again outside the CTE, because a payment may
    /// have been folded while this statement waited for its row. Each key is looked up by itself:
    /// a join could be planned while the table is small, and would then read it whole when it is
    /// not.
    LOCK_BY_KEYS = "
        WITH wanted AS (
            SELECT p.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (merchant_id, provider, key)
            CROSS JOIN LATERAL (SELECT p.id FROM payments p WHERE p.merchant_id = k.merchant_id
                AND p.provider = k.provider AND p.money_key = k.key AND p.state <> 'folded' OFFSET 0) p
            UNION
            SELECT p.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS k (merchant_id, provider, key)
            CROSS JOIN LATERAL (SELECT p.id FROM payments p WHERE p.merchant_id = k.merchant_id
                AND p.provider = k.provider AND p.checkout_id = k.key AND p.state <> 'folded' OFFSET 0) p
            UNION
            SELECT p.id FROM unnest($7::uuid[], $8::text[], $9::text[]) AS k (merchant_id, provider, key)
            CROSS JOIN LATERAL (SELECT p.id FROM payments p WHERE p.merchant_id = k.merchant_id
                AND p.provider = k.provider AND p.reference = k.key OFFSET 0) p
        )
        SELECT p.id, p.merchant_id, p.provider, p.money_key, p.checkout_id, p.reference, p.receipt, p.amount,
               p.currency, p.phone, p.phone_is_full, p.method, p.short_code, p.payer_short_code, p.authenticated_by,
               p.state, p.reason, p.conflict, p.occurred_at
        FROM payments p WHERE p.id = ANY(ARRAY(SELECT id FROM wanted)) AND p.state <> 'folded'
        ORDER BY p.id FOR NO KEY UPDATE";
}

/// Locks and reads the payments that have any of these keys.
pub(crate) async fn lock_by_keys(
    transaction: &Transaction<'_>,
    money: &Keys,
    checkouts: &Keys,
    references: &Keys,
) -> Result<Vec<Payment>, LedgerError> {
    if money.is_empty() && checkouts.is_empty() && references.is_empty() {
        return Ok(Vec::new());
    }
    let rows = transaction
        .query(
            LOCK_BY_KEYS,
            &[
                &money.merchants,
                &money.providers,
                &money.keys,
                &checkouts.merchants,
                &checkouts.providers,
                &checkouts.keys,
                &references.merchants,
                &references.providers,
                &references.keys,
            ],
        )
        .await?;
    rows.iter().map(payment).collect()
}

fn payment(row: &Row) -> Result<Payment, LedgerError> {
    let id: Uuid = row.try_get("id")?;
    let unreadable = |column| LedgerError::Stored {
        table: "payments",
        column,
        row: id.to_string(),
    };
    Ok(Payment {
        id: PaymentId::from_uuid(id),
        merchant: MerchantId::from_uuid(row.try_get("merchant_id")?),
        provider: named(row, "provider").ok_or_else(|| unreadable("provider"))?,
        money_key: row.try_get("money_key")?,
        checkout_id: row.try_get("checkout_id")?,
        reference: row.try_get("reference")?,
        receipt: row.try_get("receipt")?,
        amount: money(row, "amount")?.map_err(|_| unreadable("amount"))?,
        phone: row.try_get("phone")?,
        phone_is_full: row.try_get("phone_is_full")?,
        method: named(row, "method").ok_or_else(|| unreadable("method"))?,
        short_code: row.try_get("short_code")?,
        payer_short_code: row.try_get("payer_short_code")?,
        authenticated_by: match row.try_get::<_, Option<&str>>("authenticated_by")? {
            Some(text) => Some(text.parse().map_err(|_| unreadable("authenticated_by"))?),
            None => None,
        },
        state: named(row, "state").ok_or_else(|| unreadable("state"))?,
        reason: row.try_get("reason")?,
        conflict: row.try_get("conflict")?,
        folded_into: None,
        occurred_at: row.try_get::<_, Option<Timestamp>>("occurred_at")?,
    })
}

fn named<T: std::str::FromStr>(row: &Row, column: &str) -> Option<T> {
    read::<&str>(row, column)?.parse().ok()
}

fn read<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Option<T> {
    row.try_get(column).ok()
}

/// Reads an amount column and the currency beside it. The inner error is a stored value that is no
/// money.
pub(crate) fn money(row: &Row, column: &str) -> Result<Result<Option<Money>, ()>, LedgerError> {
    let amount: Option<Decimal> = row.try_get(column)?;
    let currency: Option<&str> = row.try_get("currency")?;
    let (Some(amount), Some(currency)) = (amount, currency) else {
        return Ok(Ok(None));
    };
    let money = currency
        .parse::<Currency>()
        .and_then(|currency| Money::new(amount, currency));
    Ok(money.map(Some).map_err(|_| ()))
}
