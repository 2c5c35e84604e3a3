//! Writing payments: new ones in one statement, changes of known ones in their order.

use std::cmp::Ordering;

use risiti_domain::{PaymentId, PaymentState};

use crate::db::error::LedgerError;
use crate::db::pipeline::{PIPELINE, pipelined};
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::payment::{Payment, PaymentWrite};

statements! {
    /// A payment that its first event already settles is stored in that state. The database
    /// records both of its moves.
    INSERT = "
        INSERT INTO payments (id, merchant_id, provider, money_key, checkout_id, reference, receipt, amount, currency,
            phone, phone_is_full, method, short_code, authenticated_by, state, reason, conflict, occurred_at,
            moved_because, moved_event, payer_short_code, settled_at, moved_by)
        SELECT n.*, CASE WHEN n.state = 'success' THEN now() END, 'ledger-worker'
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[],
            $9::text[], $10::text[], $11::bool[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
            $17::bool[], $18::timestamptz[], $19::text[], $20::uuid[], $21::text[])
            AS n (id, merchant_id, provider, money_key, checkout_id, reference, receipt, amount, currency, phone,
                phone_is_full, method, short_code, authenticated_by, state, reason, conflict, occurred_at,
                moved_because, moved_event, payer_short_code)";
    /// Writes facts and state. Facts may change without a move, and then the actor, reason and event
    /// of the last move stay. The end of a flag counts as a move.
    MOVE = "
        UPDATE payments SET money_key = $3, checkout_id = $4, reference = $5, receipt = $6, amount = $7, currency = $8,
            phone = $9, phone_is_full = $10, method = $11, short_code = $12, authenticated_by = $13, state = $14,
            reason = $15, conflict = $16, folded_into = $17, occurred_at = $18, payer_short_code = $21,
            settled_at = CASE WHEN $14 IN ('success', 'reversed') THEN coalesce(settled_at, now()) END,
            moved_by = CASE WHEN state = $14 AND (NOT conflict OR $16) THEN moved_by ELSE $22 END,
            moved_because = CASE WHEN state = $14 AND (NOT conflict OR $16) THEN moved_because ELSE $19 END,
            moved_event = CASE WHEN state = $14 AND (NOT conflict OR $16) THEN moved_event ELSE $20 END
        WHERE id = $1 AND state = $2";
    MOVE_EVENTS = "UPDATE events SET payment_id = $2 WHERE payment_id = $1";
    MOVE_REVERSALS = "UPDATE reversals SET payment_id = $2 WHERE payment_id = $1";
}

/// Writes payments, many in one round trip.
///
/// New rows come first. None of them has a key of another row, because an event whose key leads to
/// a known payment adds none. So they can be stored before a fold gives up keys.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    writes: &[PaymentWrite],
    actor: &str,
) -> Result<(), LedgerError> {
    let (new, changes): (Vec<&PaymentWrite>, Vec<&PaymentWrite>) =
        writes.iter().partition(|write| write.from.is_none());
    insert(transaction, new).await?;
    for run in runs(&changes) {
        let changed = run.iter().map(|write| change(transaction, write, actor));
        pipelined(changed).await?;
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

/// Splits changes into runs for one round trip each. A fold ends a run, because the folded row has
/// to give up its keys before another payment takes them.
fn runs<'a, 'b>(changes: &'a [&'b PaymentWrite]) -> impl Iterator<Item = &'a [&'b PaymentWrite]> {
    changes
        .split_inclusive(|write| write.payment.state == PaymentState::Folded)
        .flat_map(|run| run.chunks(PIPELINE))
}

/// Inserts payments in the order of their keys, so that two batches with the same keys wait for
/// each other in one direction only (protocol C2).
async fn insert(
    transaction: &Transaction<'_>,
    mut new: Vec<&PaymentWrite>,
) -> Result<(), LedgerError> {
    if new.is_empty() {
        return Ok(());
    }
    new.sort_unstable_by(|a, b| by_keys(&a.payment, &b.payment));

    let ids: Vec<_> = column(&new, |payment| payment.id.uuid());
    let merchants: Vec<_> = column(&new, |payment| payment.merchant.uuid());
    let providers: Vec<_> = column(&new, |payment| payment.provider.as_str());
    let money_keys: Vec<_> = column(&new, |payment| payment.money_key.as_deref());
    let checkout_ids: Vec<_> = column(&new, |payment| payment.checkout_id.as_deref());
    let references: Vec<_> = column(&new, |payment| payment.reference.as_deref());
    let receipts: Vec<_> = column(&new, |payment| payment.receipt.as_deref());
    let amounts: Vec<_> = column(&new, |payment| payment.amount.map(|money| money.amount()));
    let currencies: Vec<_> = column(&new, |payment| {
        payment.amount.map(|money| money.currency().to_string())
    });
    let phones: Vec<_> = column(&new, |payment| payment.phone.as_deref());
    let phones_are_full: Vec<_> = column(&new, |payment| payment.phone_is_full);
    let methods: Vec<_> = column(&new, |payment| payment.method.as_str());
    let short_codes: Vec<_> = column(&new, |payment| payment.short_code.as_deref());
    let authenticated_by: Vec<_> = column(&new, |payment| {
        payment.authenticated_by.map(|by| by.as_str())
    });
    let states: Vec<_> = column(&new, |payment| payment.state.as_str());
    let reasons: Vec<_> = column(&new, |payment| payment.reason.as_deref());
    let conflicts: Vec<_> = column(&new, |payment| payment.conflict);
    let occurred_at: Vec<_> = column(&new, |payment| payment.occurred_at);
    let because: Vec<_> = new.iter().map(|write| write.because.as_deref()).collect();
    let events: Vec<_> = new.iter().map(|write| write.event.uuid()).collect();
    let payers: Vec<_> = column(&new, |payment| payment.payer_short_code.as_deref());
    transaction
        .execute(
            INSERT,
            &[
                &ids,
                &merchants,
                &providers,
                &money_keys,
                &checkout_ids,
                &references,
                &receipts,
                &amounts,
                &currencies,
                &phones,
                &phones_are_full,
                &methods,
                &short_codes,
                &authenticated_by,
                &states,
                &reasons,
                &conflicts,
                &occurred_at,
                &because,
                &events,
                &payers,
            ],
        )
        .await
        .map(drop)
}

fn column<'a, T>(writes: &[&'a PaymentWrite], value: impl Fn(&'a Payment) -> T) -> Vec<T> {
    writes.iter().map(|write| value(&write.payment)).collect()
}

fn by_keys(a: &Payment, b: &Payment) -> Ordering {
    fn keys(payment: &Payment) -> impl Ord {
        (
            payment.merchant,
            payment.provider,
            &payment.money_key,
            &payment.checkout_id,
            &payment.reference,
        )
    }
    keys(a).cmp(&keys(b))
}

async fn change(
    transaction: &Transaction<'_>,
    write: &PaymentWrite,
    actor: &str,
) -> Result<(), LedgerError> {
    let payment = &write.payment;
    let id = payment.id.uuid();
    let from = write.from.map(PaymentState::as_str);
    let amount = payment.amount.map(|money| money.amount());
    let currency = payment
        .amount
        .map(|money| money.currency().as_str().to_owned());
    let authenticated_by = payment.authenticated_by.map(|by| by.as_str());
    let method = payment.method.as_str();
    let state = payment.state.as_str();
    let folded_into = payment.folded_into.map(PaymentId::uuid);
    let event = write.event.uuid();

    let changed = transaction
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
                &payment.payer_short_code,
                &actor,
            ],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(LedgerError::Moved {
            table: "payments",
            row: id.to_string(),
        })
    }
}
