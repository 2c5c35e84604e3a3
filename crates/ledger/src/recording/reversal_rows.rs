//! Reading reversals under lock by their keys, and writing them back.

use risiti_domain::{EventId, MerchantId, PaymentId};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::keys::Keys;
use crate::recording::payment_rows::money;
use crate::recording::reversal::{Reversal, ReversalState, RowStatus};

statements! {
    /// The reversals of the given payments and those of the given keys, in id order, so that two
    /// batches that share reversals lock them in the same order. A reversal that is told by one of
    /// its other keys is among those of its payment. Each key is looked up by itself:
    /// a join could be planned while the table is small, and would then read it whole when it is
    /// not.
    LOCK = "
        WITH wanted AS (
            SELECT r.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (merchant_id, provider, key)
            CROSS JOIN LATERAL (SELECT r.id FROM reversals r WHERE r.merchant_id = k.merchant_id
                AND r.provider = k.provider AND r.of_money_key = k.key OFFSET 0) r
            UNION
            SELECT r.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS k (merchant_id, provider, key)
            CROSS JOIN LATERAL (SELECT r.id FROM reversals r WHERE r.merchant_id = k.merchant_id
                AND r.provider = k.provider AND r.reversal_key = k.key OFFSET 0) r
        )
        SELECT r.id, r.merchant_id, r.provider, r.reversal_key, r.other_keys, r.of_money_key, r.amount, r.currency,
               r.state, r.credited, r.payment_id, r.event_id, r.occurred_at,
               (SELECT i.state FROM invoices i WHERE i.reversal_id = r.id) AS credit_note
        FROM reversals r WHERE r.id = ANY(ARRAY(SELECT id FROM wanted)) ORDER BY r.id FOR UPDATE OF r";
    INSERT = "
        INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, amount, currency, state, credited,
            payment_id, event_id, occurred_at, other_keys)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    CHANGE = "
        UPDATE reversals SET amount = $2, currency = $3, state = $4, credited = $5, payment_id = $6, event_id = $7,
            occurred_at = $8, other_keys = $9
        WHERE id = $1";
}

/// Locks and reads the reversals of these payments, and those with these keys of their own.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    money_keys: &Keys,
    reversal_keys: &Keys,
) -> Result<Vec<Reversal>, LedgerError> {
    if money_keys.is_empty() && reversal_keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = transaction
        .query(
            LOCK,
            &[
                &money_keys.merchants,
                &money_keys.providers,
                &money_keys.keys,
                &reversal_keys.merchants,
                &reversal_keys.providers,
                &reversal_keys.keys,
            ],
        )
        .await?;
    rows.iter().map(reversal).collect()
}

/// Writes back the rows that are new or changed.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    reversals: &[Reversal],
) -> Result<(), LedgerError> {
    for reversal in reversals {
        let amount = reversal.amount.map(|money| money.amount());
        let currency = reversal
            .amount
            .map(|money| money.currency().as_str().to_owned());
        let state = reversal.state.as_str();
        let payment = reversal.payment.map(PaymentId::uuid);
        let event = reversal.event.uuid();

        match reversal.row {
            RowStatus::Unchanged => {}
            RowStatus::New => {
                let merchant = reversal.merchant.uuid();
                let provider = reversal.provider.as_str();
                transaction
                    .execute(
                        INSERT,
                        &[
                            &reversal.id,
                            &merchant,
                            &provider,
                            &reversal.key,
                            &reversal.of_money_key,
                            &amount,
                            &currency,
                            &state,
                            &reversal.credited,
                            &payment,
                            &event,
                            &reversal.occurred_at,
                            &reversal.other_keys,
                        ],
                    )
                    .await?;
            }
            RowStatus::Changed => {
                transaction
                    .execute(
                        CHANGE,
                        &[
                            &reversal.id,
                            &amount,
                            &currency,
                            &state,
                            &reversal.credited,
                            &payment,
                            &event,
                            &reversal.occurred_at,
                            &reversal.other_keys,
                        ],
                    )
                    .await?;
            }
        }
    }
    Ok(())
}

fn reversal(row: &Row) -> Result<Reversal, LedgerError> {
    let id: Uuid = row.try_get("id")?;
    let unreadable = |column| LedgerError::Stored {
        table: "reversals",
        column,
        row: id.to_string(),
    };
    let state: &str = row.try_get("state")?;
    let state = ReversalState::ALL
        .into_iter()
        .find(|known| known.as_str() == state)
        .ok_or_else(|| unreadable("state"))?;
    // A credit note that stood after its money came back may have been discarded since.
    let credit_note: Option<&str> = row.try_get("credit_note")?;
    let stands = state == ReversalState::Applied || credit_note != Some("discarded");
    let credited: Option<Decimal> = row.try_get("credited")?;
    let provider: &str = row.try_get("provider")?;
    Ok(Reversal {
        id,
        merchant: MerchantId::from_uuid(row.try_get("merchant_id")?),
        provider: provider.parse().map_err(|_| unreadable("provider"))?,
        key: row.try_get("reversal_key")?,
        other_keys: row.try_get("other_keys")?,
        of_money_key: row.try_get("of_money_key")?,
        amount: money(row, "amount")?.map_err(|()| unreadable("amount"))?,
        state,
        credited: credited.filter(|_| stands),
        payment: row
            .try_get::<_, Option<Uuid>>("payment_id")?
            .map(PaymentId::from_uuid),
        event: EventId::from_uuid(row.try_get("event_id")?),
        occurred_at: row.try_get("occurred_at")?,
        confirmed: false,
        row: RowStatus::Unchanged,
    })
}
