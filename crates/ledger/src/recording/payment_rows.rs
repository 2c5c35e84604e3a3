//! Reading payments under lock by any of their keys, and writing them back.

use jiff::Timestamp;
use risiti_domain::{Currency, MerchantId, Money, PaymentId, PaymentState};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pipeline::{PIPELINE, pipelined};
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::keys::Keys;
use crate::recording::payment::{Payment, PaymentWrite};

statements! {
    /// Every payment that has one of the given money keys, checkout ids or references.
    ///
    /// The rows are locked in id order, so that two batches that share payments lock them in the
    /// same order (protocol C6). The state is asked again outside the CTE, because a payment may
    /// have been folded while this statement waited for its row.
    LOCK_BY_KEYS = "
        WITH wanted AS (
            SELECT p.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (merchant_id, provider, key)
            JOIN payments p ON p.merchant_id = k.merchant_id AND p.provider = k.provider
                AND p.money_key = k.key AND p.state <> 'folded'
            UNION
            SELECT p.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS k (merchant_id, provider, key)
            JOIN payments p ON p.merchant_id = k.merchant_id AND p.provider = k.provider
                AND p.checkout_id = k.key AND p.state <> 'folded'
            UNION
            SELECT p.id FROM unnest($7::uuid[], $8::text[], $9::text[]) AS k (merchant_id, provider, key)
            JOIN payments p ON p.merchant_id = k.merchant_id AND p.provider = k.provider AND p.reference = k.key
        )
        SELECT p.id, p.merchant_id, p.provider, p.money_key, p.checkout_id, p.reference, p.receipt, p.amount,
               p.currency, p.phone, p.phone_is_full, p.method, p.short_code, p.authenticated_by, p.state, p.reason,
               p.conflict, p.occurred_at
        FROM payments p WHERE p.id IN (SELECT id FROM wanted) AND p.state <> 'folded'
        ORDER BY p.id FOR NO KEY UPDATE";
    INSERT = "
        INSERT INTO payments (id, merchant_id, provider, money_key, checkout_id, reference, receipt, amount, currency,
            phone, phone_is_full, method, short_code, authenticated_by, state, reason, conflict, occurred_at,
            moved_by, moved_event)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 'ledger-worker', $19)";
    /// Writes facts and state. Facts may change without a move, and then the reason and event of
    /// the last move stay.
    MOVE = "
        UPDATE payments SET money_key = $3, checkout_id = $4, reference = $5, receipt = $6, amount = $7, currency = $8,
            phone = $9, phone_is_full = $10, method = $11, short_code = $12, authenticated_by = $13, state = $14,
            reason = $15, conflict = $16, folded_into = $17, occurred_at = $18,
            settled_at = CASE WHEN $14 IN ('success', 'reversed') THEN coalesce(settled_at, now()) END,
            moved_by = 'ledger-worker',
            moved_because = CASE WHEN state = $14 THEN moved_because ELSE $19 END,
            moved_event = CASE WHEN state = $14 THEN moved_event ELSE $20 END
        WHERE id = $1 AND state = $2";
    FLAG = "UPDATE payments SET conflict = true, reason = $2 WHERE id = $1";
    MOVE_EVENTS = "UPDATE events SET payment_id = $2 WHERE payment_id = $1";
    MOVE_REVERSALS = "UPDATE reversals SET payment_id = $2 WHERE payment_id = $1";
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

/// Writes payments in the given order, many in one round trip.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    writes: &[PaymentWrite],
) -> Result<(), LedgerError> {
    for run in runs(writes) {
        pipelined(run.iter().map(|write| write_one(transaction, write))).await?;
    }
    Ok(())
}

/// Moves the events and reversals of folded payments to the payments that were kept (protocol C6).
pub(crate) async fn move_followers(
    transaction: &Transaction<'_>,
    folds: &[(PaymentId, PaymentId)],
) -> Result<(), LedgerError> {
    for (folded, keep) in folds {
        transaction
            .execute(MOVE_EVENTS, &[&folded.uuid(), &keep.uuid()])
            .await?;
        transaction
            .execute(MOVE_REVERSALS, &[&folded.uuid(), &keep.uuid()])
            .await?;
    }
    Ok(())
}

/// Flags a payment for a person to look at.
pub(crate) async fn flag(
    transaction: &Transaction<'_>,
    payment: PaymentId,
    reason: &str,
) -> Result<(), LedgerError> {
    transaction
        .execute(FLAG, &[&payment.uuid(), &reason])
        .await
        .map(drop)
}

/// Splits writes into runs for one round trip each. A fold ends a run, because the folded row has
/// to give up its keys before another payment takes them.
fn runs(writes: &[PaymentWrite]) -> impl Iterator<Item = &[PaymentWrite]> {
    writes
        .split_inclusive(|write| write.payment.state == PaymentState::Folded)
        .flat_map(|run| run.chunks(PIPELINE))
}

async fn write_one(transaction: &Transaction<'_>, write: &PaymentWrite) -> Result<(), LedgerError> {
    let payment = &write.payment;
    let id = payment.id.uuid();
    let amount = payment.amount.map(|money| money.amount());
    let currency = payment
        .amount
        .map(|money| money.currency().as_str().to_owned());
    let authenticated_by = payment.authenticated_by.map(|by| by.as_str());
    let method = payment.method.as_str();
    let state = payment.state.as_str();
    let event = write.event.uuid();

    let changed = match write.from {
        None => {
            let merchant = payment.merchant.uuid();
            let provider = payment.provider.as_str();
            transaction
                .execute(
                    INSERT,
                    &[
                        &id,
                        &merchant,
                        &provider,
                        &payment.money_key,
                        &payment.checkout_id,
                        &payment.reference,
                        &payment.receipt,
                        &amount,
                        &currency,
                        &payment.phone,
                        &payment.phone_is_full,
                        &method,
                        &payment.short_code,
                        &authenticated_by,
                        &state,
                        &payment.reason,
                        &payment.conflict,
                        &payment.occurred_at,
                        &event,
                    ],
                )
                .await?
        }
        Some(from) => {
            let from = from.as_str();
            let folded_into = payment.folded_into.map(PaymentId::uuid);
            transaction
                .execute(
                    MOVE,
                    &[
                        &id,
                        &from,
                        &payment.money_key,
                        &payment.checkout_id,
                        &payment.reference,
                        &payment.receipt,
                        &amount,
                        &currency,
                        &payment.phone,
                        &payment.phone_is_full,
                        &method,
                        &payment.short_code,
                        &authenticated_by,
                        &state,
                        &payment.reason,
                        &payment.conflict,
                        &folded_into,
                        &payment.occurred_at,
                        &write.because,
                        &event,
                    ],
                )
                .await?
        }
    };
    if changed == 1 {
        Ok(())
    } else {
        Err(LedgerError::Moved {
            table: "payments",
            row: id.to_string(),
        })
    }
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
