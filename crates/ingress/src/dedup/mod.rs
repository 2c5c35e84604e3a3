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
pub(crate) struct DedupKey([u8; DedupKey::BYTES]);

impl DedupKey {
    /// Half of a SHA-256 digest. A collision among the keys that are remembered is out of reach.
    const BYTES: usize = 16;

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
        let digest = hash.finalize();
        let mut key = [0; Self::BYTES];
        key.copy_from_slice(&digest[..Self::BYTES]);
        Self(key)
    }

    fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    #[cfg(test)]
    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
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
type InFlight = HashMap<DedupKey, OutcomeReceiver>;

type OutcomeReceiver = watch::Receiver<Option<Result<TaskOutcome, Failure>>>;

/// What was known of a key when a delivery of it came.
enum Entered {
    First(OutcomeReceiver),
    /// A task for it is running.
    Waiting(OutcomeReceiver),
    SeenBefore,
}

/// What this process knows of keys: those that are durable, and those that have a running task. They
/// stand under one lock, so that no delivery finds a key in neither.
struct Known {
    memory: Memory,
    in_flight: InFlight,
}

pub(crate) struct Dedup {
    known: Mutex<Known>,
    redis: Option<Redis>,
    tasks: TaskTracker,
    /// The runtime of the tasks. The runtime of a worker thread would end with the HTTP server.
    runtime: Handle,
    metrics: DedupMetrics,
}

pub(crate) struct DedupSettings<'a> {
    pub(crate) entries_max: u64,
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
            known: Mutex::new(Known {
                memory: Memory::new(settings.entries_max),
                in_flight: InFlight::new(),
            }),
            redis: settings
                .redis_url
                .map(|url| Redis::start(url, settings.namespace, metrics.clone()))
                .transpose()?,
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
        let (outcome_sender, outcome) = watch::channel(None);
        let (mut outcome, is_first) = match self.enter(key, outcome) {
            Entered::SeenBefore => {
                self.metrics.memory_hit();
                return DeliveryOutcome::Duplicate;
            }
            Entered::Waiting(running) => (running, false),
            Entered::First(outcome) => {
                self.metrics.memory_miss();
                // The guard is made here, so that the key leaves the map even if the task never runs.
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

    /// Enters a key as one with a running task, unless it is known.
    fn enter(&self, key: DedupKey, outcome: OutcomeReceiver) -> Entered {
        let mut known = self.known();
        if let Some(running) = known.in_flight.get(&key) {
            return Entered::Waiting(running.clone());
        }
        if known.memory.contains(&key) {
            return Entered::SeenBefore;
        }
        known.in_flight.insert(key, outcome.clone());
        Entered::First(outcome)
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
            let known = redis.contains(key).await;
            self.metrics.redis(match known {
                Ok(true) => "hit",
                Ok(false) => "miss",
                Err(NoAnswer) => "error",
            });
            if known == Ok(true) {
                self.known().memory.remember(&key, ttl);
                return Ok(TaskOutcome::SeenBefore);
            }
        }

        let stored_in = publish.await?;
        self.known().memory.remember(&key, ttl);

        // Redis does not learn of a webhook that only this replica's disk has. If the disk were
        // lost, whoever sends the webhook again must not be answered that we have it. The ledger
        // recognises a webhook that comes twice.
        if let Some(redis) = &self.redis
            && stored_in == StoredIn::Queue
        {
            redis.remember(key, ttl);
        }
        Ok(TaskOutcome::Stored(stored_in))
    }

    /// Waits until no task is running. No delivery may start one meanwhile.
    pub(crate) async fn finish_tasks(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic while it was locked leaves both parts usable: a key may be missing, which costs one
        // more publish.
        self.known
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
        self.dedup.known().in_flight.remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
