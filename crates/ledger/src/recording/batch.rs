//! Recording a batch of events: one transaction, a bounded number of round trips (protocol C2).

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rand::Rng;
use risiti_domain::{DeviceId, EventId, MerchantId, PaymentId, PaymentState};
use risiti_providers::EventBody;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::recording::events::{self, Delivery, IncomingEvent, Settled};
use crate::recording::locked_payments::{Books, Telling};
use crate::recording::owing::{self, Merchants, Owing};
use crate::recording::payment_rows::{self, Keys};
use crate::recording::recorded::{Recorded, Records};
use crate::recording::reversal_rows::{self, Followed};
use crate::recording::reversals::{CAME_BACK, Consequence, Reversals, Stored};
use crate::recording::stripes::Stripes;

/// Deadlocks and lost races are tried again at once; this often, because each repetition means that
/// somebody else got through.
const REPEATS_MAX: u32 = 8;

/// Two workers made the same payment at the same instant: the loser finds it when it looks again.
const RACES: [&str; 3] = [
    "payment_money_key_unique",
    "payment_checkout_id_unique",
    "reversal_told_once",
];

impl Ledger {
    /// Stores the events, moves their payments, and makes the invoices that are owed, all or none
    /// of it. Repeating a batch changes nothing.
    ///
    /// # Errors
    /// A transient one says nothing against any event. Any other is about one of them, and the
    /// batch has to be recorded event by event to find out which (protocol C3). After an unanswered
    /// COMMIT it may have been recorded all the same.
    pub async fn record_batch(
        &self,
        batch: &[IncomingEvent],
    ) -> Result<Vec<Recorded>, LedgerError> {
        let mut repeats = 0;
        loop {
            match self.record_once(batch).await {
                Err(error) if repeats < REPEATS_MAX && somebody_got_through(&error) => repeats += 1,
                done => return done,
            }
            let pause = rand::rng().random_range(1..=10 * u64::from(repeats));
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn record_once(&self, batch: &[IncomingEvent]) -> Result<Vec<Recorded>, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        stripes(batch).lock(&transaction).await?;
        let deliveries = events::store(&transaction, batch).await?;
        let mut records = Records::new(batch, &deliveries);
        let news = news(batch, &deliveries);
        if !news.is_empty() {
            record_news(&transaction, &news, &mut records).await?;
        }
        for (event, lane) in events::unfiled_lanes(&transaction, &records.told_again()).await? {
            records.wake(event, lane);
        }
        transaction.commit().await?;
        Ok(records.list)
    }
}

fn somebody_got_through(error: &LedgerError) -> bool {
    error.is_deadlock()
        || matches!(error, LedgerError::Moved { .. })
        || error
            .constraint()
            .is_some_and(|constraint| RACES.contains(&constraint))
}

/// New events, oldest first.
fn news<'a>(batch: &'a [IncomingEvent], deliveries: &[Delivery]) -> Vec<&'a IncomingEvent> {
    let is_new = |(event, delivery): (&'a IncomingEvent, &Delivery)| {
        (*delivery == Delivery::New).then_some(event)
    };
    let mut news: Vec<_> = batch.iter().zip(deliveries).filter_map(is_new).collect();
    news.sort_by_key(|event| event.id);
    news
}

/// Every lock on money of the batch (see [`Stripes`]).
fn stripes(batch: &[IncomingEvent]) -> Stripes {
    let mut stripes = Stripes::default();
    for event in batch {
        let (merchant, provider) = (event.merchant, event.provider);
        match &event.event.body {
            EventBody::Payment(report) => match (&report.money_key, &report.reference) {
                (Some(key), _) => stripes.share(merchant, provider, key),
                (None, Some(reference)) => stripes.take(merchant, provider, reference),
                (None, None) => {}
            },
            EventBody::Reversal(report) => stripes.take(merchant, provider, &report.of_money_key),
            EventBody::Other { .. } => {}
        }
    }
    stripes
}

async fn record_news(
    transaction: &Transaction<'_>,
    news: &[&IncomingEvent],
    records: &mut Records,
) -> Result<(), LedgerError> {
    let ids: BTreeSet<MerchantId> = news.iter().map(|event| event.merchant).collect();
    let merchants = Merchants::load(transaction, &ids.into_iter().collect::<Vec<_>>()).await?;
    let mut books = lock_books(transaction, news).await?;
    let before = lanes_by_short_code(&books, &merchants);
    let mut settled = tell_payments(news, &merchants, &mut books);
    let reversals = tell_reversals(transaction, news, &mut books).await?;

    payment_rows::write(transaction, &books.steps).await?;
    payment_rows::move_followers(transaction, &books.folds).await?;
    reversal_rows::write(transaction, &reversals.rows).await?;
    settled.extend(settled_reversals(news, &reversals, &books));
    for settled in &mut settled {
        settled.payment = settled.payment.map(|payment| standing_for(payment, &books));
    }
    records.moved(&books.steps);
    make_invoices(transaction, &books, &merchants, records).await?;
    move_invoices(transaction, &books, &merchants, &before, &settled, records).await?;
    for consequence in &reversals.consequences {
        follow(transaction, consequence, &mut settled, records).await?;
    }
    records.flagged(&settled);
    events::settle(transaction, &merged(&settled)).await
}

async fn lock_books(
    transaction: &Transaction<'_>,
    news: &[&IncomingEvent],
) -> Result<Books, LedgerError> {
    let (mut money, mut checkouts, mut references) =
        (Keys::default(), Keys::default(), Keys::default());
    for event in news {
        let (merchant, provider) = (event.merchant, event.provider);
        match &event.event.body {
            EventBody::Payment(report) => {
                report
                    .money_key
                    .iter()
                    .for_each(|key| money.push(merchant, provider, key));
                report
                    .checkout_id
                    .iter()
                    .for_each(|key| checkouts.push(merchant, provider, key));
                report
                    .reference
                    .iter()
                    .for_each(|key| references.push(merchant, provider, key));
            }
            EventBody::Reversal(report) => money.push(merchant, provider, &report.of_money_key),
            EventBody::Other { .. } => {}
        }
    }
    Ok(Books::new(
        payment_rows::lock_by_keys(transaction, &money, &checkouts, &references).await?,
    ))
}

/// Where each payment's invoice would go by what was known before this batch.
fn lanes_by_short_code(
    books: &Books,
    merchants: &Merchants,
) -> HashMap<PaymentId, Option<DeviceId>> {
    books
        .standing()
        .map(|payment| (payment.id, merchants.device(payment)))
        .collect()
}

fn tell_payments(
    news: &[&IncomingEvent],
    merchants: &Merchants,
    books: &mut Books,
) -> Vec<Settled> {
    let mut settled = Vec::with_capacity(news.len());
    for event in news {
        let EventBody::Payment(report) = &event.event.body else {
            continue;
        };
        let known = |code: &String| merchants.knows_short_code(event.merchant, code);
        let telling = Telling {
            event: event.id,
            merchant: event.merchant,
            provider: event.provider,
            authenticated_by: event.authenticated_by,
            report,
            short_code_known: report.short_code.as_ref().is_none_or(known),
            owes_nothing: merchants.owes_nothing(event.merchant, report.amount),
        };
        let told = books.tell(&telling, PaymentId::from_uuid(Uuid::now_v7()));
        settled.push(Settled {
            event: event.id,
            payment: Some(told.payment),
            flagged: told.flagged,
        });
    }
    settled
}

async fn tell_reversals(
    transaction: &Transaction<'_>,
    news: &[&IncomingEvent],
    books: &mut Books,
) -> Result<Reversals, LedgerError> {
    let (mut of, mut keys) = (Keys::default(), Keys::default());
    for payment in books.standing().filter(|payment| payment.holds_money()) {
        payment
            .money_key
            .iter()
            .for_each(|key| of.push(payment.merchant, payment.provider, key));
    }
    for event in news {
        if let EventBody::Reversal(report) = &event.event.body {
            of.push(event.merchant, event.provider, &report.of_money_key);
            keys.push(event.merchant, event.provider, &report.reversal_key);
        }
    }
    let rows = reversal_rows::lock(transaction, &of, &keys).await?;
    let mut reversals = Reversals {
        rows,
        ..Reversals::default()
    };
    for event in news {
        if let EventBody::Reversal(report) = &event.event.body {
            reversals.tell(event.id, event.merchant, event.provider, report, books);
        }
    }
    reversals.apply(books);
    Ok(reversals)
}

/// Reversals of this batch, and those of earlier ones whose payment came only now.
fn settled_reversals(
    news: &[&IncomingEvent],
    reversals: &Reversals,
    books: &Books,
) -> Vec<Settled> {
    let told = news.iter().filter_map(|event| {
        let EventBody::Reversal(report) = &event.event.body else {
            return None;
        };
        let sale = books.by_money_key(event.merchant, event.provider, &report.of_money_key)?;
        Some(Settled {
            event: event.id,
            payment: Some(sale.id),
            flagged: false,
        })
    });
    let changed = reversals
        .rows
        .iter()
        .filter(|row| row.stored != Stored::AsItIs);
    let linked = changed.map(|row| Settled {
        event: row.event,
        payment: row.payment,
        flagged: false,
    });
    let flagged = reversals.flagged.iter().map(|event| Settled {
        event: *event,
        payment: None,
        flagged: true,
    });
    told.chain(linked).chain(flagged).collect()
}

/// The payment itself, or the one it was folded into.
fn standing_for(payment: PaymentId, books: &Books) -> PaymentId {
    let into = books.folds.iter().find(|(empty, _)| *empty == payment);
    into.map_or(payment, |(_, keep)| standing_for(*keep, books))
}

async fn make_invoices(
    transaction: &Transaction<'_>,
    books: &Books,
    merchants: &Merchants,
    records: &mut Records,
) -> Result<(), LedgerError> {
    let paid = books.steps.iter().filter(|step| {
        step.payment.state == PaymentState::Success && step.from != Some(PaymentState::Success)
    });
    let owing: Vec<Owing<'_>> = paid
        .filter_map(|step| {
            // As it stands at the end of the batch: its twin may have named the short code
            // meanwhile.
            let payment = books.get(step.payment.id)?;
            if merchants
                .owes_nothing(payment.merchant, payment.amount)
                .is_some()
            {
                return None;
            }
            Some(Owing {
                payment,
                device: merchants.device(payment)?,
                event: step.event,
            })
        })
        .collect();
    owing::insert_sales(transaction, &owing).await?;
    for owing in &owing {
        records.wake(owing.event, owing.device);
    }
    Ok(())
}

/// An invoice never yet sent follows the short code that its C2B twin names (protocol C8).
async fn move_invoices(
    transaction: &Transaction<'_>,
    books: &Books,
    merchants: &Merchants,
    before: &HashMap<PaymentId, Option<DeviceId>>,
    settled: &[Settled],
    records: &mut Records,
) -> Result<(), LedgerError> {
    for payment in books.standing().filter(|payment| payment.holds_money()) {
        let Some(device) = merchants.device(payment) else {
            continue;
        };
        let named_another = before
            .get(&payment.id)
            .is_some_and(|before| *before != Some(device));
        if named_another && owing::move_unsent(transaction, payment.id, device).await? {
            let event = settled
                .iter()
                .find(|settled| settled.payment == Some(payment.id));
            if let Some(settled) = event {
                records.wake(settled.event, device);
            }
        }
    }
    Ok(())
}

async fn follow(
    transaction: &Transaction<'_>,
    consequence: &Consequence,
    settled: &mut Vec<Settled>,
    records: &mut Records,
) -> Result<(), LedgerError> {
    match reversal_rows::follow(transaction, consequence).await? {
        Followed::Quietly => {}
        Followed::Wake(lane) => records.wake(consequence.event(), lane),
        Followed::Flagged(payment) => {
            reversal_rows::flag_payment(transaction, payment, CAME_BACK).await?;
            settled.push(Settled {
                event: consequence.event(),
                payment: Some(payment),
                flagged: true,
            });
        }
    }
    Ok(())
}

/// One row per event: `UPDATE … FROM` would take any one of several.
fn merged(settled: &[Settled]) -> Vec<Settled> {
    let mut by_event: HashMap<EventId, Settled> = HashMap::new();
    for settled in settled {
        let known = by_event.entry(settled.event).or_insert(*settled);
        known.payment = known.payment.or(settled.payment);
        known.flagged |= settled.flagged;
    }
    let mut merged: Vec<Settled> = by_event.into_values().collect();
    merged.sort_by_key(|settled| settled.event);
    merged
}
