//! Recording a batch of events in one transaction, with a bounded number of round trips (protocol
//! C2).

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use risiti_domain::MerchantId;
use risiti_providers::EventBody;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::recording::event::{Delivery, IncomingEvent};
use crate::recording::owing::MerchantSetups;
use crate::recording::recorded::{Recorded, RecordedBatch};
use crate::recording::stripes::Stripes;
use crate::recording::{
    event_rows, event_updates, invoices, new_events, payment_rows, reversal_rows,
};

/// How often a batch is repeated after a deadlock or a lost race. It is repeated at once, because
/// each of them means that another transaction got through.
const REPEATS_MAX: u32 = 8;

/// The constraints that refuse a row which another worker inserted at the same instant. The loser
/// finds that row when it looks again.
const RACES: [&str; 3] = [
    "payment_money_key_unique",
    "payment_checkout_id_unique",
    "reversal_told_once",
];

impl Ledger {
    /// Stores the events, moves their payments and creates the invoices that are owed, all or none
    /// of it. Repeating a batch changes nothing.
    ///
    /// # Errors
    /// A transient error says nothing against any event. Any other error is about one of them, and
    /// the batch has to be recorded event by event to find out which (protocol C3). After a COMMIT
    /// without an answer the batch may have been recorded all the same.
    pub async fn record_batch(
        &self,
        batch: &[IncomingEvent],
    ) -> Result<Vec<Recorded>, LedgerError> {
        let mut repeats = 0;
        loop {
            match self.record_once(batch).await {
                Err(error) if repeats < REPEATS_MAX && is_lost_race(&error) => repeats += 1,
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
        let deliveries = event_rows::store(&transaction, batch).await?;
        let mut recorded = RecordedBatch::new(batch, &deliveries);

        let events = select_new(batch, &deliveries);
        if !events.is_empty() {
            record_new_events(&transaction, &events, &mut recorded).await?;
        }

        // What was recorded before may still wait for a wake-up that was lost with the
        // acknowledgement.
        for (event, lane) in
            event_rows::unfiled_lanes(&transaction, &recorded.redelivered()).await?
        {
            recorded.wake(event, lane);
        }
        transaction.commit().await?;
        Ok(recorded.list)
    }
}

/// Whether another transaction got through instead of this one, so that a repetition can succeed.
fn is_lost_race(error: &LedgerError) -> bool {
    error.is_deadlock()
        || matches!(error, LedgerError::Moved { .. })
        || error
            .constraint()
            .is_some_and(|constraint| RACES.contains(&constraint))
}

/// The events that were not known before, oldest first.
fn select_new<'a>(batch: &'a [IncomingEvent], deliveries: &[Delivery]) -> Vec<&'a IncomingEvent> {
    let is_new = |(event, delivery): (&'a IncomingEvent, &Delivery)| {
        (*delivery == Delivery::New).then_some(event)
    };
    let mut events: Vec<_> = batch.iter().zip(deliveries).filter_map(is_new).collect();
    events.sort_by_key(|event| event.id);
    events
}

/// The advisory locks for the money of the batch (see [`Stripes`]).
fn stripes(batch: &[IncomingEvent]) -> Stripes {
    let mut stripes = Stripes::default();
    for event in batch {
        let merchant = event.merchant;
        let provider = event.provider;
        match &event.event.body {
            EventBody::Payment(report) => match (&report.money_key, &report.reference) {
                (Some(key), _) => stripes.share(merchant, provider, key),
                (None, Some(reference)) => stripes.take_alone(merchant, provider, reference),
                (None, None) => {}
            },
            EventBody::Reversal(report) => {
                stripes.take_alone(merchant, provider, &report.of_money_key);
            }
            EventBody::Other { .. } => {}
        }
    }
    stripes
}

async fn record_new_events(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
    recorded: &mut RecordedBatch,
) -> Result<(), LedgerError> {
    let merchants: BTreeSet<MerchantId> = events.iter().map(|event| event.merchant).collect();
    let merchants: Vec<MerchantId> = merchants.into_iter().collect();
    let setups = MerchantSetups::load(transaction, &merchants).await?;

    // Everything is read under locks first, then changed in memory, then written.
    let mut payments = new_events::lock_payments(transaction, events).await?;
    let devices_before = invoices::devices(&payments, &setups);
    let mut updates = new_events::apply_payments(events, &setups, &mut payments);
    let mut reversals = new_events::lock_reversals(transaction, events, &payments).await?;
    new_events::apply_reversals(events, &mut reversals, &mut payments);

    payment_rows::write(transaction, &payments.writes).await?;
    payment_rows::move_followers(transaction, &payments.folds).await?;
    reversal_rows::write(transaction, &reversals.rows).await?;
    recorded.add_moves(&payments.writes);

    updates.extend(event_updates::of_reversals(events, &reversals, &payments));
    for update in &mut updates {
        update.payment = update.payment.map(|payment| payments.current_id(payment));
    }

    invoices::insert_sales(transaction, &payments, &setups, recorded).await?;
    invoices::move_unsent(
        transaction,
        &payments,
        &setups,
        &devices_before,
        &updates,
        recorded,
    )
    .await?;
    for change in &reversals.credit_notes {
        updates.extend(invoices::change_credit_note(transaction, change, recorded).await?);
    }

    recorded.add_flags(&updates);
    event_rows::update(transaction, &event_updates::merged(&updates)).await
}
