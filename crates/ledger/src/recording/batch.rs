//! Recording a batch of events in one transaction, with a bounded number of round trips (protocol
//! C2).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use rand::Rng;
use risiti_domain::MerchantId;

use crate::db::error::LedgerError;
use crate::db::pool::{Ledger, Transaction};
use crate::recording::event::{Delivery, EventUpdate, IncomingEvent, KnownEvents};
use crate::recording::owing::MerchantSetups;
use crate::recording::recorded::{Recorded, RecordedBatch};
use crate::recording::stripes::Stripes;
use crate::recording::unanswered::UnansweredCommits;
use crate::recording::{
    event_rows, event_updates, invoices, new_events, payment_writes, reversal_rows,
};

/// How often a batch is repeated after a deadlock or a lost race. It is repeated at once, because
/// each of them means that another transaction got through.
const REPEATS_MAX: u32 = 8;

/// Who moves what is recorded.
pub(crate) const LEDGER_WORKER: &str = "ledger-worker";

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
        self.record_again(batch, &mut UnansweredCommits::default())
            .await
    }

    /// Records a batch that may have been tried before. If a commit of an earlier try took place
    /// without an answer, the result is what that answer would have been.
    ///
    /// # Errors
    /// As of [`Self::record_batch`].
    pub async fn record_again(
        &self,
        batch: &[IncomingEvent],
        earlier: &mut UnansweredCommits,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let mut repeats = 0;
        loop {
            match self.record_once(batch, earlier).await {
                Err(error) if repeats < REPEATS_MAX && is_lost_race(&error) => repeats += 1,
                done => return done,
            }
            let pause = rand::rng().random_range(1..=10 * u64::from(repeats));
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn record_once(
        &self,
        batch: &[IncomingEvent],
        earlier: &mut UnansweredCommits,
    ) -> Result<Vec<Recorded>, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;

        stripes(batch).lock(&transaction).await?;
        let stored = event_rows::lock_known(&transaction, batch).await?;
        let known = KnownEvents::new(batch, stored);
        let deliveries = known.compare(batch);
        let mut recorded = RecordedBatch::new(batch, &deliveries);
        take_over_unanswered(batch, &deliveries, &known, earlier, &mut recorded);

        let events = select_new(batch, &deliveries);
        let began = match events.is_empty() {
            true => None,
            false => Some(record_new_events(&transaction, &events, &mut recorded).await?),
        };
        event_rows::count_duplicates(&transaction, batch, &deliveries, &known).await?;
        event_rows::keep_conflicts(&transaction, batch, &deliveries, &known).await?;

        // What was recorded before may still wait for a wake-up that was lost with the
        // acknowledgement.
        for (event, lane) in
            event_rows::unfiled_lanes(&transaction, &recorded.redelivered()).await?
        {
            recorded.wake(event, lane);
        }

        let committed = transaction.commit().await;
        if let (Err(error), Some(began)) = (&committed, began)
            && !matches!(error, LedgerError::Refused(_))
        {
            for recorded in events.iter().filter_map(|event| recorded.get(event.id)) {
                earlier.remember(began, recorded);
            }
        }
        committed.map(|()| recorded.list)
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

/// Gives the events of a commit that was not answered the result of that commit.
fn take_over_unanswered(
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    known: &KnownEvents<'_>,
    earlier: &UnansweredCommits,
    recorded: &mut RecordedBatch,
) {
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Redelivered
            && let Some(recorded_at) = known.recorded_at(event)
            && let Some(result) = earlier.get(event.id, recorded_at)
        {
            recorded.take_over(result);
        }
    }
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
        if let Some(report) = event.event.body.payment() {
            match (&report.money_key, &report.reference) {
                (Some(key), _) => stripes.share(merchant, provider, key),
                (None, Some(reference)) => stripes.take_alone(merchant, provider, reference),
                (None, None) => {}
            }
        }
        if let Some(report) = event.event.body.reversal() {
            stripes.take_alone(merchant, provider, &report.of_money_key);
        }
    }
    stripes
}

/// Records events that are new, and returns when the transaction began.
async fn record_new_events(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
    recorded: &mut RecordedBatch,
) -> Result<Timestamp, LedgerError> {
    let merchants: BTreeSet<MerchantId> = events.iter().map(|event| event.merchant).collect();
    let merchants: Vec<MerchantId> = merchants.into_iter().collect();
    let setups = MerchantSetups::load(transaction, &merchants).await?;

    // Everything is read under locks first, then changed in memory, then written.
    let mut payments = new_events::lock_payments(transaction, events).await?;
    let devices_before = invoices::devices(&payments, &setups);
    let mut updates = new_events::apply_payments(events, &setups, &mut payments);
    let mut reversals = new_events::lock_reversals(transaction, events, &payments).await?;
    new_events::apply_reversals(events, &mut reversals, &mut payments);
    // How much is left of a sale depends on which credit notes are gone.
    invoices::withdraw_notes(transaction, &mut reversals, &mut payments).await?;
    reversals.apply_to_sales(&mut payments);

    updates.extend(event_updates::of_reversals(events, &reversals, &payments));
    for update in &mut updates {
        update.payment = update.payment.map(|payment| payments.current_id(payment));
    }
    recorded.add_moves(&payments.writes, &setups);

    // Each event is written once, with its payment, so the payments come before it. What refers to
    // an event comes after it.
    payment_writes::write(transaction, &payments.writes, LEDGER_WORKER).await?;
    payment_writes::move_followers(transaction, &payments.folds).await?;
    let mut known = event_updates::merged(&updates);
    let began = event_rows::insert(transaction, events, &known).await?;
    reversal_rows::write(transaction, &reversals.rows).await?;

    invoices::insert_sales(transaction, &payments, &setups, LEDGER_WORKER, recorded).await?;
    invoices::move_unsent(
        transaction,
        &payments,
        &setups,
        &devices_before,
        &updates,
        recorded,
    )
    .await?;
    recorded.add_flags(known.values());

    invoices::issue_notes(
        transaction,
        &reversals.credit_notes,
        LEDGER_WORKER,
        recorded,
    )
    .await?;

    // What remains is about events of earlier batches.
    for event in events {
        known.remove(&event.id);
    }
    let mut late: Vec<EventUpdate> = known.into_values().collect();
    late.sort_unstable_by_key(|update| update.event);
    event_rows::update(transaction, &late).await?;
    Ok(began)
}
