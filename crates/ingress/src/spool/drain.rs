//! From the spool to the broker, in order, as soon as the broker takes it, while live webhooks go straight there.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use risiti_queue::{Broker, PublishError, Publisher, Target};
use risiti_spool::{Entry, Spool};
use tokio::time::{Instant, timeout, timeout_at};

use crate::durable::Suspicion;
use crate::spool::message;

/// Publishes under way at once: an eighth of what the publisher allows, the rest is for live webhooks.
const WINDOW: usize = 16;
/// Read, published and removed together.
const ROUND_ENTRIES: usize = 128;
const ROUND_BYTES: usize = 4 << 20;
/// Rounds in which the broker answers and takes nothing, before it is the entries' fault.
const ROUNDS_REFUSED_MAX: u32 = 5;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// From an entry that the broker refused back to it, once the rest had its turn: soon, since it may only have lost a queue
/// for a moment, and then ever later.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LONGEST: Duration = Duration::from_secs(60);

pub(crate) struct Drainer {
    pub(crate) spool: Spool,
    pub(crate) broker: Broker,
    pub(crate) publisher: Publisher,
    pub(crate) timeout: Duration,
    pub(crate) suspicion: Suspicion,
}

/// Where the drainer is, and how it went there lately.
#[derive(Debug)]
struct Progress {
    /// All up to this number are delivered, or passed over.
    after: u64,
    /// When to go back to entries that were passed over. A deadline: what arrives meanwhile does not put it off.
    look_again_at: Option<Instant>,
    look_pause: Duration,
    /// Probing: the last publish came to nothing, so one alone goes next.
    probing: bool,
    rounds_refused: u32,
    pause: Duration,
}

/// What became of one entry.
enum Fate {
    Taken,
    /// The broker answered, and not with a confirm.
    Refused,
    /// The broker did not answer, or cannot be asked.
    Unreached,
}

impl Drainer {
    /// Until dropped.
    pub(crate) async fn run(self) {
        let mut status = self.spool.status();
        let mut progress = Progress::new();
        loop {
            self.broker.wait_up().await;
            let wanted = if progress.probing { 1 } else { ROUND_ENTRIES };
            let Ok(entries) = self.spool.read(progress.after, wanted, ROUND_BYTES).await else {
                timeout(PAUSE_LONGEST, status.changed()).await.ok();
                continue;
            };
            if entries.is_empty() {
                progress.wait_at_the_end(&mut status).await;
                continue;
            }
            let fates = self.publish(&entries).await;
            let taken = entries
                .iter()
                .zip(&fates)
                .filter(|(_, fate)| matches!(fate, Fate::Taken));
            self.spool.remove(taken.map(|(entry, _)| entry.number));
            if let Some(pause) = progress.judge(&entries, &fates) {
                self.pause(pause).await;
            }
        }
    }

    async fn publish(&self, entries: &[Entry]) -> Vec<Fate> {
        let publishes: Vec<_> = entries
            .iter()
            .map(|entry| self.publish_one(entry))
            .collect();
        stream::iter(publishes).buffered(WINDOW).collect().await
    }

    async fn publish_one(&self, entry: &Entry) -> Fate {
        let Some(message) = message::read(&entry.bytes) else {
            tracing::error!(
                number = entry.number,
                "an entry of the spool is no message; it stays there"
            );
            return Fate::Refused;
        };
        let event_id = message.id;
        let published = self
            .publisher
            .publish(Target::Payments, message, self.timeout)
            .await;
        self.suspicion.learn(&published);
        match published {
            Ok(()) => Fate::Taken,
            Err(
                PublishError::Down
                | PublishError::Blocked
                | PublishError::Timeout
                | PublishError::TooBusy,
            ) => Fate::Unreached,
            Err(error) => {
                tracing::warn!(%event_id, %error, "the broker does not take a spooled webhook");
                Fate::Refused
            }
        }
    }

    /// Cut short when the connection goes and comes.
    async fn pause(&self, pause: Duration) {
        let mut state = self.broker.state();
        state.mark_unchanged();
        timeout(pause, state.changed()).await.ok();
    }
}

impl Progress {
    fn new() -> Self {
        Self {
            after: 0,
            look_again_at: None,
            probing: false,
            rounds_refused: 0,
            pause: PAUSE_FIRST,
            look_pause: LOOK_FIRST,
        }
    }

    /// Moves on, and says how long to wait first. An entry that the broker refuses while it takes others, or again and again,
    /// is passed over: it must not hold up those behind it, and stays for another look.
    fn judge(&mut self, entries: &[Entry], fates: &[Fate]) -> Option<Duration> {
        let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
        let taken = count(|fate| matches!(fate, Fate::Taken));
        let (refused, unreached) = (
            count(|fate| matches!(fate, Fate::Refused)),
            count(|fate| matches!(fate, Fate::Unreached)),
        );
        self.probing = taken == 0 && unreached > 0;
        if unreached == 0 && refused > 0 {
            self.rounds_refused += 1;
        }
        let pass = unreached == 0 && (taken > 0 || self.rounds_refused >= ROUNDS_REFUSED_MAX);
        if pass {
            self.after = entries.last().map_or(self.after, |entry| entry.number);
            if refused > 0 {
                self.look_again_at
                    .get_or_insert(Instant::now() + self.look_pause);
            }
            self.rounds_refused = 0;
        }
        if taken > 0 {
            self.pause = PAUSE_FIRST;
            return (unreached > 0).then_some(self.pause);
        }
        Some(self.longer_pause())
    }

    fn longer_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_LONGEST);
        rand::random_range(pause / 2..=pause)
    }

    async fn wait_at_the_end(
        &mut self,
        status: &mut tokio::sync::watch::Receiver<risiti_spool::Status>,
    ) {
        match self.look_again_at {
            None => {
                self.after = 0;
                self.look_pause = LOOK_FIRST;
                status.changed().await.ok();
            }
            Some(then) if Instant::now() >= then => {
                *self = Self {
                    look_pause: (self.look_pause * 2).min(LOOK_LONGEST),
                    ..Self::new()
                };
            }
            Some(then) => {
                timeout_at(then, status.changed()).await.ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use risiti_spool::Status;
    use tokio::sync::watch;

    use super::*;

    fn judged(progress: &mut Progress, fates: &[Fate]) -> Option<Duration> {
        let numbers = progress.after + 1..;
        let entries: Vec<_> = numbers
            .zip(fates)
            .map(|(number, _)| Entry {
                number,
                bytes: Vec::new(),
            })
            .collect();
        progress.judge(&entries, fates)
    }

    #[test]
    fn one_refused_among_others_is_passed_over_and_costs_them_no_wait() {
        let mut progress = Progress::new();
        assert_eq!(
            judged(&mut progress, &[Fate::Taken, Fate::Refused, Fate::Taken]),
            None
        );
        assert_eq!(progress.after, 3);
        assert!(progress.look_again_at.is_some());
    }

    #[test]
    fn one_refused_alone_is_tried_with_growing_pauses_and_then_passed_over() {
        let mut progress = Progress::new();
        for round in 1..=ROUNDS_REFUSED_MAX {
            assert_eq!(progress.after, 0);
            let shortest = PAUSE_FIRST * 2_u32.pow(round - 1) / 2;
            assert!(judged(&mut progress, &[Fate::Refused]).is_some_and(|pause| pause >= shortest));
        }
        assert_eq!(progress.after, 1);
    }

    #[test]
    fn a_broker_that_does_not_answer_is_never_an_entrys_fault() {
        let mut progress = Progress::new();
        for _ in 0..100 {
            let pause = judged(&mut progress, &[Fate::Refused, Fate::Unreached]);
            assert!(pause.is_some_and(|pause| (PAUSE_FIRST / 2..=PAUSE_LONGEST).contains(&pause)));
        }
        assert_eq!(
            (progress.after, progress.look_again_at, progress.probing),
            (0, None, true)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_passed_over_is_looked_at_again_however_much_is_spooled_meanwhile() {
        let (told, mut status) = watch::channel(Status::default());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_FIRST / 10).await;
                told.send_modify(|status| status.entries += 1);
            }
        });
        let mut progress = Progress::new();
        judged(&mut progress, &[Fate::Taken, Fate::Refused]);
        for _ in 0..20 {
            progress.wait_at_the_end(&mut status).await;
        }
        assert_eq!((progress.after, progress.look_again_at), (0, None));
    }
}
