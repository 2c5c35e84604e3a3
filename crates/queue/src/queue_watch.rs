//! Looks at queues again and again, for gauges.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::oldest_message::{Look, OldestMessage};
use crate::{Broker, BrokerError, Target};

/// The pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What a passive declaration tells of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that wait to be delivered. Those delivered and not acked do not count.
    pub waiting: u64,
    /// Consumers of all programs.
    pub consumers: u64,
}

/// One look at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueReading {
    pub target: Target,
    pub depth: QueueDepth,
    /// The most that the first message can be old, by what this program knows. For messages that
    /// waited before the program started, it is the time since its first look.
    pub oldest: Duration,
}

impl Broker {
    /// Looks at queues every five seconds and reports each reading. A look that fails is reported
    /// as nothing, so that the caller can show how old its last reading is. It never ends, and is
    /// meant to be dropped.
    pub async fn watch_queues(
        &self,
        targets: &[Target],
        mut report: impl FnMut(Target, Option<QueueReading>),
    ) {
        let mut oldest: Vec<OldestMessage> =
            targets.iter().map(|_| OldestMessage::default()).collect();
        loop {
            for (target, oldest) in targets.iter().zip(&mut oldest) {
                let reading = self.look(*target, oldest).await;
                if let Err(error) = &reading {
                    tracing::debug!(
                        queue = target.as_str(),
                        "failed to look at a queue: {error}"
                    );
                }
                report(*target, reading.ok());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    async fn look(
        &self,
        target: Target,
        oldest: &mut OldestMessage,
    ) -> Result<QueueReading, BrokerError> {
        // The order of the readings keeps the age from being too small. A message that moves
        // meanwhile is counted twice rather than not at all.
        let traffic = self.traffic();
        let at = Instant::now();
        let published = traffic.published(target);
        let depth = self.queue_depth(target).await?;
        let held = traffic.held(target);
        let acked = traffic.acked(target);
        let look = Look {
            at,
            waiting: depth.waiting,
            published,
            acked,
            held,
        };
        Ok(QueueReading {
            target,
            depth,
            oldest: oldest.note(look),
        })
    }
}
