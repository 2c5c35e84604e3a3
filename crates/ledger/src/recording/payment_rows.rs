//! Reading payments under lock by any of their keys, and writing a batch's steps back.

use jiff::Timestamp;
use risiti_domain::{Currency, MerchantId, Money, PaymentId, PaymentState, Provider};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pipeline::{PIPELINE, pipelined};
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::locked_payments::Step;
use crate::recording::payment::Payment;

statements! {
    /// In id order, so that two batches that share payments lock them the same way round (protocol
    /// C6).
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
    MOVE = "
        UPDATE payments SET money_key = $3, checkout_id = $4, reference = $5, receipt = $6, amount = $7, currency = $8,
            phone = $9, phone_is_full = $10, method = $11, short_code = $12, authenticated_by = $13, state = $14,
            reason = $15, conflict = $16, folded_into = $17, occurred_at = $18,
            settled_at = CASE WHEN $14 IN ('success', 'reversed') THEN coalesce(settled_at, now()) END,
            moved_by = 'ledger-worker',
            moved_because = CASE WHEN state = $14 THEN moved_because ELSE $19 END,
            moved_event = CASE WHEN state = $14 THEN moved_event ELSE $20 END
        WHERE id = $1 AND state = $2";
    MOVE_EVENTS = "UPDATE events SET payment_id = $2 WHERE payment_id = $1";
    MOVE_REVERSALS = "UPDATE reversals SET payment_id = $2 WHERE payment_id = $1";
}

/// Keys per merchant and provider (protocol C1), as columns for `unnest`.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) merchants: Vec<Uuid>,
    pub(crate) providers: Vec<&'static str>,
    pub(crate) keys: Vec<String>,
}

impl Keys {
    pub(crate) fn push(&mut self, merchant: MerchantId, provider: Provider, key: &str) {
        self.merchants.push(merchant.uuid());
        self.providers.push(provider.as_str());
        self.keys.push(key.to_owned());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

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

/// Writes steps in their order, many to a round trip.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    steps: &[Step],
) -> Result<(), LedgerError> {
    for steps in runs(steps) {
        pipelined(steps.iter().map(|step| write_one(transaction, step))).await?;
    }
    Ok(())
}

/// Events and reversals follow a payment that was folded (protocol C6).
pub(crate) async fn move_followers(
    transaction: &Transaction<'_>,
    folds: &[(PaymentId, PaymentId)],
) -> Result<(), LedgerError> {
    for (empty, keep) in folds {
        transaction
            .execute(MOVE_EVENTS, &[&empty.uuid(), &keep.uuid()])
            .await?;
        transaction
            .execute(MOVE_REVERSALS, &[&empty.uuid(), &keep.uuid()])
            .await?;
    }
    Ok(())
}

/// A fold ends a run: its keys must be free before the payment that keeps them takes them.
fn runs(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps
        .split_inclusive(|step| step.payment.state == PaymentState::Folded)
        .flat_map(|run| run.chunks(PIPELINE))
}

async fn write_one(transaction: &Transaction<'_>, step: &Step) -> Result<(), LedgerError> {
    let payment = &step.payment;
    let id = payment.id.uuid();
    let amount = payment.amount.map(|money| money.amount());
    let currency = payment
        .amount
        .map(|money| money.currency().as_str().to_owned());
    let authenticated_by = payment.authenticated_by.map(|by| by.as_str());
    let (method, state) = (payment.method.as_str(), payment.state.as_str());
    let event = step.event.uuid();
    let changed = match step.from {
        None => {
            let (merchant, provider) = (payment.merchant.uuid(), payment.provider.as_str());
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
            let (from, folded_into) = (from.as_str(), payment.folded_into.map(PaymentId::uuid));
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
                        &step.because,
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

/// An amount column with the currency beside it; the inner error is a stored value that is no
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
