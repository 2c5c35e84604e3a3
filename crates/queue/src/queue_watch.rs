//! Looks at queues: once, and again and again for gauges.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep, timeout};

use crate::closing::close_channel;
use crate::oldest_message::{Look, OldestMessage};
use crate::request::REQUEST_TIMEOUT;
use crate::{AmqpError, Broker, BrokerError, Target};

/// The broker's reply code for a queue that does not exist.
const NOT_FOUND: u16 = 404;
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
    /// Returns how many messages wait to be delivered. Those delivered and not acked do not count.
    /// It waits up to ten seconds for a connection.
    ///
    /// # Errors
    /// There is no connection, no answer within ten seconds, or no such queue.
    pub async fn depth(&self, target: Target) -> Result<u64, BrokerError> {
        Ok(self.queue_depth(target).await?.waiting)
    }

    /// Returns how many messages wait to be delivered, and how many consumers there are. It
    /// disturbs nothing. It waits up to ten seconds for a connection.
    ///
    /// # Errors
    /// There is no connection, no answer within ten seconds, or no such queue.
    pub async fn queue_depth(&self, target: Target) -> Result<QueueDepth, BrokerError> {
        let connection = self.looking_connection().await?;
        let channel = connection.channel().await?;
        let options = QueueDeclareOptions::durable().passive();
        let declaring = channel.queue_declare(
            self.topology().queue(target).into(),
            options,
            FieldTable::default(),
        );
        let answer = timeout(REQUEST_TIMEOUT, declaring)
            .await
            .map_err(|_| BrokerError::Timeout)?;
        let queue =
            answer.map_err(|error| failed_to_look(self.topology().queue(target), error.into()))?;
        let depth = QueueDepth {
            waiting: queue.message_count().into(),
            consumers: queue.consumer_count().into(),
        };
        // A channel that is only dropped may still be closing when its connection is closed, which
        // lapin logs as an error.
        close_channel(&channel, "looked").await;
        Ok(depth)
    }

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

fn failed_to_look(queue: &str, source: AmqpError) -> BrokerError {
    if source.code() == Some(NOT_FOUND) {
        return BrokerError::NoSuchQueue(queue.to_owned());
    }
    BrokerError::Request {
        what: "look at a queue",
        source,
    }
}
