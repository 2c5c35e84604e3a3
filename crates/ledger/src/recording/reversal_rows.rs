//! Reading and writing reversals, and the credit notes that answer them.

use risiti_domain::{DeviceId, EventId, MerchantId, PaymentId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::payment_rows::{Keys, money};
use crate::recording::reversals::{Consequence, Reversal, ReversalState, Stored};

statements! {
    LOCK = "
        WITH wanted AS (
            SELECT r.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (merchant_id, provider, key)
            JOIN reversals r ON r.merchant_id = k.merchant_id AND r.provider = k.provider AND r.of_money_key = k.key
            UNION
            SELECT r.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS k (merchant_id, provider, key)
            JOIN reversals r ON r.merchant_id = k.merchant_id AND r.provider = k.provider AND r.reversal_key = k.key
        )
        SELECT r.id, r.merchant_id, r.provider, r.reversal_key, r.of_money_key, r.amount, r.currency, r.state,
               r.credited, r.payment_id, r.event_id, r.occurred_at
        FROM reversals r WHERE r.id IN (SELECT id FROM wanted) ORDER BY r.id FOR UPDATE";
    INSERT = "
        INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, amount, currency, state, credited,
            payment_id, event_id, occurred_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    CHANGE = "
        UPDATE reversals SET amount = $2, currency = $3, state = $4, credited = $5, payment_id = $6, event_id = $7,
            occurred_at = $8
        WHERE id = $1";
    /// The sale is held, so that its end and its credit notes' beginning see each other: of a
    /// discarded sale a credit note starts discarded, and comes back if the sale does.
    CREDIT = "
        WITH sale AS (
            SELECT id, payment_id, merchant_id, device_id, state FROM invoices
            WHERE payment_id = $2 AND kind = 'sale' FOR SHARE
        ), note AS (
            INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, state, amount, sale_id, reversal_id,
                event_id, moved_by, moved_because, moved_event)
            SELECT $1, payment_id, merchant_id, device_id, 'credit_note',
                   CASE WHEN state = 'discarded' THEN 'discarded' ELSE 'pending' END, $3, id, $4,
                   $5, 'ledger-worker', CASE WHEN state = 'discarded' THEN 'its sale was discarded' ELSE 'money went back' END,
                   $5
            FROM sale
            ON CONFLICT ON CONSTRAINT one_credit_note_per_reversal DO NOTHING
        )
        SELECT device_id, state = 'success' FROM sale";
    /// One that went with its discarded sale is not to come back with it either (protocol C9).
    WITHDRAW = "
        UPDATE invoices SET state = 'discarded', moved_by = 'ledger-worker', moved_because = 'the money came back',
            moved_event = $2
        WHERE reversal_id = $1 AND first_sent_at IS NULL
          AND (state = 'pending' OR (state = 'discarded' AND moved_because = 'its sale was discarded'))";
    STILL_CREDITED = "SELECT EXISTS (SELECT FROM invoices WHERE reversal_id = $1 AND state <> 'discarded')";
    FLAG_PAYMENT = "UPDATE payments SET conflict = true, reason = $2 WHERE id = $1";
}

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

pub(crate) async fn write(
    transaction: &Transaction<'_>,
    rows: &[Reversal],
) -> Result<(), LedgerError> {
    for row in rows {
        let amount = row.amount.map(|money| money.amount());
        let currency = row.amount.map(|money| money.currency().as_str().to_owned());
        let (state, payment) = (row.state.as_str(), row.payment.map(PaymentId::uuid));
        let event = row.event.uuid();
        match row.stored {
            Stored::AsItIs => {}
            Stored::Not => {
                let (merchant, provider) = (row.merchant.uuid(), row.provider.as_str());
                transaction
                    .execute(
                        INSERT,
                        &[
                            &row.id,
                            &merchant,
                            &provider,
                            &row.key,
                            &row.of_money_key,
                            &amount,
                            &currency,
                            &state,
                            &row.credited,
                            &payment,
                            &event,
                            &row.occurred_at,
                        ],
                    )
                    .await?;
            }
            Stored::Otherwise => {
                transaction
                    .execute(
                        CHANGE,
                        &[
                            &row.id,
                            &amount,
                            &currency,
                            &state,
                            &row.credited,
                            &payment,
                            &event,
                            &row.occurred_at,
                        ],
                    )
                    .await?;
            }
        }
    }
    Ok(())
}

/// What following a consequence came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// A credit note that can be filed now.
    Wake(DeviceId),
    Quietly,
    /// Money came back after its credit note went out: a person looks.
    Flagged(PaymentId),
}

pub(crate) async fn follow(
    transaction: &Transaction<'_>,
    consequence: &Consequence,
) -> Result<Followed, LedgerError> {
    match consequence {
        Consequence::CreditNote {
            payment,
            reversal,
            amount,
            event,
        } => {
            let row = transaction
                .query_opt(
                    CREDIT,
                    &[
                        &Uuid::now_v7(),
                        &payment.uuid(),
                        amount,
                        reversal,
                        &event.uuid(),
                    ],
                )
                .await?;
            let Some(row) = row else {
                return Ok(Followed::Quietly);
            };
            let sale_is_filed: bool = row.try_get(1)?;
            let device = DeviceId::from_uuid(row.try_get(0)?);
            Ok(if sale_is_filed {
                Followed::Wake(device)
            } else {
                Followed::Quietly
            })
        }
        Consequence::Withdraw {
            payment,
            reversal,
            event,
        } => {
            transaction
                .execute(WITHDRAW, &[reversal, &event.uuid()])
                .await?;
            let row = transaction.query_one(STILL_CREDITED, &[reversal]).await?;
            Ok(if row.try_get(0)? {
                Followed::Flagged(*payment)
            } else {
                Followed::Quietly
            })
        }
    }
}

pub(crate) async fn flag_payment(
    transaction: &Transaction<'_>,
    payment: PaymentId,
    reason: &str,
) -> Result<(), LedgerError> {
    transaction
        .execute(FLAG_PAYMENT, &[&payment.uuid(), &reason])
        .await
        .map(drop)
}

fn reversal(row: &Row) -> Result<Reversal, LedgerError> {
    let id: Uuid = row.try_get("id")?;
    let unreadable = |column| LedgerError::Stored {
        table: "reversals",
        column,
        row: id.to_string(),
    };
    let state: &str = row.try_get("state")?;
    let provider: &str = row.try_get("provider")?;
    Ok(Reversal {
        id,
        merchant: MerchantId::from_uuid(row.try_get("merchant_id")?),
        provider: provider.parse().map_err(|_| unreadable("provider"))?,
        key: row.try_get("reversal_key")?,
        of_money_key: row.try_get("of_money_key")?,
        amount: money(row, "amount")?.map_err(|()| unreadable("amount"))?,
        state: ReversalState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| unreadable("state"))?,
        credited: row.try_get("credited")?,
        payment: row
            .try_get::<_, Option<Uuid>>("payment_id")?
            .map(PaymentId::from_uuid),
        event: EventId::from_uuid(row.try_get("event_id")?),
        occurred_at: row.try_get("occurred_at")?,
        stored: Stored::AsItIs,
    })
}
