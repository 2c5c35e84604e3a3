//! One pass over the queue, bounded by its depth at the start, and over the rows no message stands for
//! (protocol E3).

use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use risiti_ledger::{DeadLetterFilter, Ledger, ReplayRun, RunCounts, RunItem, RunStatus};
use risiti_queue::{Broker, BrokerError, Delivery, Message, PublishError, Publisher, Target};
use tokio_util::sync::CancellationToken;

use crate::act::{ActError, Actor, Done};
use crate::output::Output;
use crate::pace::Pace;

/// Between two tries of an item that the database could not serve just then.
const TRY_AGAIN: Duration = Duration::from_millis(300);
const TRIES_MAX: u32 = 5;
/// Of a message that has more of them than a publisher of ours takes; ours stay far below.
const KEPT_HEADERS_BYTES_MAX: usize = 32 * 1024;

pub(crate) struct Pass<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) broker: &'a Broker,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) actor: Actor,
    pub(crate) filter: &'a DeadLetterFilter,
    pub(crate) run: &'a ReplayRun,
    pub(crate) limit: Option<u64>,
    pub(crate) pace: Pace,
    /// Ends the pass between two items.
    pub(crate) stop: CancellationToken,
    pub(crate) bar: ProgressBar,
    pub(crate) out: Output,
    pub(crate) tally: RunCounts,
    /// Of `tally.matched`, those left to their lanes.
    pub(crate) wished: u64,
}

/// What to do with a message once its dead letter was seen to.
enum Then {
    Ack,
    ToTheTail,
}

impl Pass<'_> {
    /// Queue first; whatever it leaves has no message, or died since.
    pub(crate) async fn go(&mut self) -> Result<()> {
        let depth = self
            .broker
            .depth(Target::Dead)
            .await
            .context("failed to look at the queue of dead letters")?;
        for _ in 0..depth {
            if !self.goes_on().await {
                return Ok(());
            }
            let got = self
                .broker
                .get(Target::Dead)
                .await
                .context("failed to take a dead letter")?;
            let Some(delivery) = got else { break };
            self.one_message(delivery).await?;
        }
        self.rows().await
    }

    /// Waits for the next turn. False once stopped, or at the limit.
    async fn goes_on(&self) -> bool {
        self.limit.is_none_or(|limit| self.tally.matched < limit)
            && self
                .stop
                .run_until_cancelled(self.pace.turn())
                .await
                .is_some()
            && !self.stop.is_cancelled()
    }

    async fn one_message(&mut self, delivery: Delivery) -> Result<()> {
        let id = delivery.message.dead_letter_id();
        let item = self.ledger.run_item(id, self.filter, self.run).await?;
        let then = match item {
            // Its row may be on its way (protocol E1).
            None => Then::ToTheTail,
            Some(item) => match item.status {
                RunStatus::Selected => self.take_up(&item).await?,
                RunStatus::NotSelected => Then::ToTheTail,
                RunStatus::AlreadyTried => Then::Ack,
                RunStatus::AlreadySolved { matches_filter } => {
                    self.count(matches_filter, Done::Skipped);
                    Then::Ack
                }
            },
        };
        if let Then::ToTheTail = then {
            self.put_back(delivery.message.clone())
                .await
                .context("failed to put a dead letter back")?;
        }
        match delivery.ack().await {
            // It comes again, and is seen to be solved then.
            Ok(()) | Err(BrokerError::Stale) => Ok(()),
            Err(error) => Err(error).context("failed to acknowledge a dead letter"),
        }
    }

    /// To the tail. One that is not ours may have headers larger than we send: it keeps those that fit.
    async fn put_back(&self, message: Message) -> Result<(), PublishError> {
        let published = self
            .publisher
            .publish(Target::Dead, message.clone(), self.publish_timeout)
            .await;
        if !matches!(published, Err(PublishError::Oversized)) {
            return published;
        }
        let mut left = KEPT_HEADERS_BYTES_MAX;
        let headers = message.headers.into_iter().filter(|(name, value)| {
            let fits = left.checked_sub(name.len() + value.len() + 8);
            left = fits.unwrap_or(left);
            fits.is_some()
        });
        let headers = headers.collect();
        self.publisher
            .publish(
                Target::Dead,
                Message { headers, ..message },
                self.publish_timeout,
            )
            .await
    }

    /// Those whose message was lost, and those that were brought up without one.
    async fn rows(&mut self) -> Result<()> {
        let mut after = None;
        while self.goes_on().await {
            let next = self
                .ledger
                .next_run_item(after, self.filter, self.run)
                .await?;
            let Some((dead_at, item)) = next else { break };
            self.take_up(&item).await?;
            after = Some((dead_at, item.id));
        }
        Ok(())
    }

    async fn take_up(&mut self, item: &RunItem) -> Result<Then> {
        self.pace.used();
        let done = self.patiently(item).await?;
        let then = match &done {
            Done::Moved | Done::Skipped => Then::Ack,
            Done::Wished => {
                self.ledger.mark_tried(item.id, self.run).await?;
                Then::Ack
            }
            Done::Failed(why) => {
                self.bar
                    .suspend(|| self.out.note(&format!("{}: {why}", item.id)));
                self.ledger.mark_tried(item.id, self.run).await?;
                Then::ToTheTail
            }
        };
        self.count(true, done);
        Ok(then)
    }

    /// A deadlock or a short failure of the database is no reason to end the run; a row that is refused is
    /// no reason to end it for the others.
    async fn patiently(&self, item: &RunItem) -> Result<Done> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.actor.act(item).await {
                Ok(done) => return Ok(done),
                Err(ActError::Ledger(error)) if !error.is_transient() => {
                    return Ok(Done::Failed(error.to_string()));
                }
                Err(error) if tries >= TRIES_MAX => return Err(error.into()),
                Err(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
    }

    fn count(&mut self, wanted: bool, done: Done) {
        if !wanted {
            return;
        }
        self.tally.matched += 1;
        match done {
            Done::Moved => self.tally.done += 1,
            Done::Wished => self.wished += 1,
            Done::Skipped => self.tally.skipped += 1,
            Done::Failed(_) => self.tally.failed += 1,
        }
        self.bar.inc(1);
    }
}
