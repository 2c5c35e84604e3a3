//! One publish per webhook, however many deliveries come at once (protocol A2–A4).
//!
//! A key is remembered only after its message is durable. Until then, further deliveries of the key
//! wait for the first one and share its outcome. A failure is not remembered.

mod memory;
mod redis;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use risiti_domain::{MerchantId, Provider};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::metrics::DedupMetrics;
use memory::Memory;
use redis::{NoAnswer, Redis};

/// The hash of merchant, provider, delivery key and digest of the money facts.
///
/// It is hashed because Redis shows its keys, and a delivery key holds digits of a phone
/// (protocol A3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DedupKey([u8; 32]);

impl DedupKey {
    pub(crate) fn new(
        merchant: MerchantId,
        provider: Provider,
        delivery_key: &str,
        facts: &[u8; 32],
    ) -> Self {
        let mut hash = Sha256::new();
        hash.update(merchant.uuid().as_bytes());
        hash.update(provider.as_str().as_bytes());
        hash.update([0]);
        hash.update(delivery_key.as_bytes());
        hash.update([0]);
        hash.update(facts);
        Self(hash.finalize().into())
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for DedupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DedupKey(…)")
    }
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// This delivery made the webhook durable.
    Stored(StoredIn),
    /// Another delivery of the key made it durable, before or at the same time.
    Duplicate,
    /// The webhook is not durable.
    Failed(Failure),
}

/// Where a message is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredIn {
    Queue,
    Spool,
}

/// Why a message could not be made durable, in words that the sender may read.
pub(crate) type Failure = &'static str;

/// How the task of a key ended. All deliveries that wait for the key share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskOutcome {
    Stored(StoredIn),
    /// Redis knew the key, so nothing was published.
    SeenBefore,
}

/// The keys that have a running task, each with the channel that will carry the task's outcome.
type InFlight = HashMap<DedupKey, watch::Receiver<Option<Result<TaskOutcome, Failure>>>>;

pub(crate) struct Dedup {
    memory: Memory,
    redis: Option<Redis>,
    in_flight: Mutex<InFlight>,
    in_flight_max: usize,
    tasks: TaskTracker,
    /// The runtime of the tasks. The runtime of a worker thread would end with the HTTP server.
    runtime: Handle,
    metrics: DedupMetrics,
}

pub(crate) struct DedupSettings<'a> {
    pub(crate) entries_max: u64,
    pub(crate) in_flight_max: usize,
    pub(crate) redis_url: Option<&'a str>,
    pub(crate) namespace: &'a str,
}

impl Dedup {
    /// Must be called on the runtime that is to run the tasks.
    pub(crate) fn new(
        settings: &DedupSettings<'_>,
        metrics: DedupMetrics,
    ) -> Result<Self, ::redis::RedisError> {
        Ok(Self {
            memory: Memory::new(settings.entries_max),
            redis: settings
                .redis_url
                .map(|url| Redis::new(url, settings.namespace))
                .transpose()?,
            in_flight: Mutex::default(),
            in_flight_max: settings.in_flight_max,
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            metrics,
        })
    }

    /// Runs `publish` unless the key was seen or has a running task. Returns by `deadline` in every
    /// case.
    ///
    /// The publish runs in a task of its own. A sender that hangs up neither cancels it nor makes a
    /// waiting delivery start a second one.
    pub(crate) async fn once<P>(
        self: &Arc<Self>,
        key: DedupKey,
        ttl: Duration,
        deadline: Instant,
        publish: P,
    ) -> DeliveryOutcome
    where
        P: Future<Output = Result<StoredIn, Failure>> + Send + 'static,
    {
        let (mut outcome, is_first) = {
            let mut in_flight = self.in_flight();
            if let Some(running) = in_flight.get(&key) {
                (running.clone(), false)
            } else if self.memory.contains(&key) {
                self.metrics.memory_hit();
                return DeliveryOutcome::Duplicate;
            } else if in_flight.len() >= self.in_flight_max {
                return DeliveryOutcome::Failed("too many webhooks are waiting to be made durable");
            } else {
                let (outcome_sender, outcome) = watch::channel(None);
                in_flight.insert(key, outcome.clone());
                self.metrics.memory_miss();

                // The guard is made here, so that the key leaves the map even if the task never
                // runs.
                let guard = InFlightGuard {
                    dedup: Arc::clone(self),
                    key,
                };
                let work = async move {
                    let outcome = guard.dedup.make(key, ttl, publish).await;
                    // The memory knows the key before it leaves the map, so no delivery in between
                    // finds it in neither.
                    drop(guard);
                    outcome_sender.send_replace(Some(outcome));
                };
                self.tasks.spawn_on(work, &self.runtime);
                (outcome, true)
            }
        };

        match tokio::time::timeout_at(deadline, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => match *outcome {
                Some(Ok(TaskOutcome::Stored(stored_in))) if is_first => {
                    DeliveryOutcome::Stored(stored_in)
                }
                Some(Ok(TaskOutcome::Stored(_) | TaskOutcome::SeenBefore)) => {
                    DeliveryOutcome::Duplicate
                }
                Some(Err(failure)) => DeliveryOutcome::Failed(failure),
                None => DeliveryOutcome::Failed("the webhook was not made durable"),
            },
            // The task ended without an outcome, because it panicked.
            Ok(Err(_)) => DeliveryOutcome::Failed("the webhook was not made durable"),
            Err(_) => DeliveryOutcome::Failed("the webhook was not made durable in time"),
        }
    }

    /// Publishes unless Redis knows the key, then remembers the key.
    async fn make<P>(
        &self,
        key: DedupKey,
        ttl: Duration,
        publish: P,
    ) -> Result<TaskOutcome, Failure>
    where
        P: Future<Output = Result<StoredIn, Failure>> + Send + 'static,
    {
        if let Some(redis) = &self.redis {
            let known = redis.contains(&key).await;
            self.metrics.redis(match known {
                Ok(true) => "hit",
                Ok(false) => "miss",
                Err(NoAnswer) => "error",
            });
            if known == Ok(true) {
                self.memory.remember(key, ttl);
                return Ok(TaskOutcome::SeenBefore);
            }
        }

        let stored_in = publish.await?;
        self.memory.remember(key, ttl);

        // Redis does not learn of a webhook that only this replica's disk has. If the disk were
        // lost, whoever sends the webhook again must not be answered that we have it. The ledger
        // recognises a webhook that comes twice.
        if let Some(redis) = &self.redis
            && stored_in == StoredIn::Queue
            && redis.remember(&key, ttl).await == Err(NoAnswer)
        {
            self.metrics.redis("error");
        }
        Ok(TaskOutcome::Stored(stored_in))
    }

    /// Waits until no task is running. No delivery may start one meanwhile.
    pub(crate) async fn finish_tasks(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        // A panic while the map was locked leaves it whole, because each use is one insert, look-up
        // or removal.
        self.in_flight
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Removes a key from those in flight when its task ends, however it ends.
struct InFlightGuard {
    dedup: Arc<Dedup>,
    key: DedupKey,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.dedup.in_flight().remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
