//! Takes messages from the payments queue, batch after batch. The acknowledgement is always the
//! last effect.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use risiti_queue::{Consumer, Delivery, Message};
use risiti_service::DatabaseHealth;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ConsumerEnded;
use crate::dead_letters::DeadLetters;
use crate::held_letters::{HeldLetter, LetterHold};
use crate::next_batch::NextBatch;
use crate::recorder::Recorder;
use crate::retry_budget::{BudgetSpent, RetryBudget};
use crate::settings::BatchArgs;
use crate::wake_ups::WakeUps;

/// Batches under way at once. While one waits for the database, the next is read and begun on
/// another connection. What two of them record does not depend on their order (protocol C2).
pub(crate) const UNDER_WAY_MAX: usize = 2;

pub(crate) struct Batches<'a> {
    pub(crate) settings: &'a BatchArgs,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) wake_ups: &'a WakeUps,
    pub(crate) dead_letters: &'a DeadLetters,
    pub(crate) stop: &'a CancellationToken,
}

/// How many messages are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// One, which must be recorded before there are others. The database has just refused a batch,
    /// whatever its probe says, and each refusal costs what is held a delivery.
    Trial,
    Full,
}

/// Why a span of recording ended.
#[derive(PartialEq, Eq)]
enum End {
    Shutdown,
    Consumer,
    /// The probe does not reach the database, and nothing is held.
    DatabaseLost,
    /// A batch spent its retry budget.
    BudgetSpent,
    /// The message of a trial is recorded.
    TrialPassed,
}

impl Batches<'_> {
    /// Records batches until shutdown. While the database is away, nothing is taken and nothing is
    /// held (protocol B3).
    pub(crate) async fn run(&self, mut consumer: Consumer) -> Result<(), ConsumerEnded> {
        consumer.pause();
        let mut pace = Pace::Full;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = self.database.wait_available() => {}
            }
            match pace {
                Pace::Full => consumer.resume(),
                Pace::Trial => consumer.resume_one_by_one(),
            }
            match self.record(&mut consumer, pace).await {
                End::Shutdown => return Ok(()),
                End::Consumer => return Err(ConsumerEnded("payments")),
                End::TrialPassed => pace = Pace::Full,
                End::DatabaseLost => consumer.pause(),
                End::BudgetSpent => {
                    tracing::warn!("a batch was given up, taking one message until it is recorded");
                    pace = Pace::Trial;
                    consumer.pause();
                    self.database.report_lost();
                }
            }
        }
    }

    /// Records batches at a pace, and finishes those under way when it ends.
    async fn record(&self, consumer: &mut Consumer, pace: Pace) -> End {
        let (size, under_way_max) = match pace {
            Pace::Trial => (1, 1),
            Pace::Full => (usize::from(self.settings.batch_size), UNDER_WAY_MAX),
        };
        let wait = self.settings.batch_wait.min(Duration::from_secs(5));
        // Half of what is held stays for messages that can be recorded.
        let letters_max = usize::from(self.settings.prefetch) / 2;
        let hold = LetterHold::new(self.dead_letters, letters_max, self.stop);

        let mut next = NextBatch::new(size, wait);
        let mut under_way = FuturesUnordered::new();
        let mut letters = FuturesUnordered::new();
        let mut end = loop {
            let idle = under_way.is_empty()
                && letters.is_empty()
                && next.is_empty()
                && consumer.is_empty();
            tokio::select! {
                () = self.stop.cancelled() => break End::Shutdown,
                () = self.database.wait_unavailable(), if idle => break End::DatabaseLost,
                Some(handled) = under_way.next() => match handled {
                    Ok(Handled { letters: new, recorded }) => {
                        letters.extend(new.into_iter().map(|letter| settle(&hold, letter)));
                        if pace == Pace::Trial && recorded > 0 {
                            break End::TrialPassed;
                        }
                    }
                    Err(BudgetSpent) => break End::BudgetSpent,
                },
                Some(()) = letters.next() => {}
                batch = next.collect(consumer), if under_way.len() < under_way_max => match batch {
                    Some(batch) => under_way.push(self.handle(batch, pace)),
                    None => break End::Consumer,
                },
            }
        };

        if matches!(end, End::Shutdown | End::Consumer) {
            consumer.cancel();
        }
        while let Some(handled) = under_way.next().await {
            match handled {
                Ok(Handled { letters: new, .. }) => {
                    letters.extend(new.into_iter().map(|letter| settle(&hold, letter)));
                }
                Err(BudgetSpent) if end == End::TrialPassed => end = End::BudgetSpent,
                Err(BudgetSpent) => {}
            }
        }
        // At shutdown each letter has the try that is under way. In a pause all come again.
        if end != End::BudgetSpent {
            while letters.next().await.is_some() {}
        }
        end
    }

    /// Commits, then wakes lanes, then acknowledges what is committed (protocol C2). When the retry
    /// budget is spent, the deliveries are dropped, and come back once the consumer is paused.
    async fn handle(&self, batch: Vec<Delivery>, pace: Pace) -> Result<Handled, BudgetSpent> {
        let begun = Instant::now();
        let held_since = batch.iter().map(|delivery| delivery.held_since).min();
        let held_since = held_since.unwrap_or(begun);
        let mut budget = match pace {
            Pace::Trial => RetryBudget::patient(held_since, self.stop),
            Pace::Full => RetryBudget::new(held_since, self.stop),
        };
        let messages: Vec<&Message> = batch.iter().map(|delivery| &delivery.message).collect();
        let recording = async |budget: &mut _| self.recorder.record(&messages, budget).await;
        let mut outcome = budget.spend_on(recording).await?;
        self.wake_ups.publish_for(&outcome.recorded).await;
        let found = &mut outcome.dead_letters;
        let storing =
            async |budget: &mut _| self.dead_letters.store_those_over_rate(found, budget).await;
        budget.spend_on(storing).await?;

        let mut letters = Vec::new();
        let mut committed = Vec::with_capacity(batch.len());
        for (place, delivery) in batch.into_iter().enumerate() {
            match outcome.dead_letters.remove(&place) {
                Some(letter) => letters.push(HeldLetter { letter, delivery }),
                None => committed.push(delivery),
            }
        }
        let recorded = committed.len();
        acknowledge(committed).await;
        let recorder = self.recorder;
        let uses = outcome.credentials;
        recorder.credential_uses.write(&recorder.ledger, uses).await;
        self.recorder
            .metrics
            .batch_seconds
            .observe(begun.elapsed().as_secs_f64());
        Ok(Handled { letters, recorded })
    }
}

/// A batch that was committed and acknowledged, but for these letters.
struct Handled {
    letters: Vec<HeldLetter>,
    recorded: usize,
}

/// Sets a message aside and acknowledges it, or gives it back.
async fn settle(hold: &LetterHold<'_>, held: HeldLetter) {
    match hold.set_aside(&held.letter, &held.delivery).await {
        Ok(()) => acknowledge(vec![held.delivery]).await,
        Err(BudgetSpent) => hold.give_back(held).await,
    }
}

/// Acknowledges a batch. When an acknowledgement is lost, its message comes back and is recognised
/// as a duplicate.
pub(crate) async fn acknowledge(batch: Vec<Delivery>) {
    let lost = Delivery::ack_all(batch).await;
    if lost > 0 {
        tracing::info!(
            lost,
            "acknowledgements lost, their messages will be delivered again"
        );
    }
}
