//! One publish per webhook, however many deliveries come at once (protocol A2–A4).
//!
//! A key is remembered only after its message is durable. Until then, further deliveries of the key
//! wait for the first one and share its outcome. A failure is not remembered.

mod memory;
mod outliving;
mod redis;

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt as _;
use risiti_domain::{MerchantId, Provider};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::metrics::DedupMetrics;
use memory::Memory;
use outliving::Outliving;
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

const NOT_DURABLE: Failure = "the webhook was not made durable";
const NOT_IN_TIME: Failure = "the webhook was not made durable in time";

/// How the publish of a key ended. All deliveries that wait for the key share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublishOutcome {
    Stored(StoredIn),
    /// Redis knew the key, so nothing was published.
    SeenBefore,
}

/// The keys that are being published, each with the channel that will carry the outcome.
type InFlight = HashMap<DedupKey, OutcomeReceiver>;

type OutcomeReceiver = watch::Receiver<Option<Result<PublishOutcome, Failure>>>;

/// What was known of a key when a delivery of it came.
enum Entered {
    First,
    /// Another delivery publishes it.
    Waiting(OutcomeReceiver),
    SeenBefore,
}

/// What this process knows of keys: those that are durable, and those that are being published. They
/// stand under one lock, so that no delivery finds a key in neither.
struct Known {
    memory: Memory,
    in_flight: InFlight,
}

pub(crate) struct Dedup {
    known: Mutex<Known>,
    redis: Option<Redis>,
    tasks: TaskTracker,
    /// What outlives its request runs here. The runtime of a worker thread ends with the HTTP server.
    runtime: Handle,
    metrics: DedupMetrics,
}

pub(crate) struct DedupSettings<'a> {
    pub(crate) entries_max: u64,
    pub(crate) redis_url: Option<&'a str>,
    pub(crate) namespace: &'a str,
}

impl Dedup {
    /// Must be called on the runtime that is to run what outlives its request.
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

    /// Runs `publish` unless the key was seen or is being published. Returns by `deadline` in every
    /// case.
    ///
    /// A sender that hangs up neither cancels the publish nor makes a waiting delivery start a
    /// second one: the publish goes on as a task.
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
        match self.enter(key, outcome) {
            Entered::SeenBefore => {
                self.metrics.memory_hit();
                DeliveryOutcome::Duplicate
            }
            Entered::Waiting(running) => share_outcome(running, deadline).await,
            Entered::First => {
                self.metrics.memory_miss();
                // The guard is made here, so that the key leaves the map even if the work is never
                // polled.
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
                    outcome
                };
                let work = Outliving::new(work, &self.tasks, &self.runtime);
                match timeout_at(deadline, work).await {
                    Ok(Ok(PublishOutcome::Stored(stored_in))) => DeliveryOutcome::Stored(stored_in),
                    Ok(Ok(PublishOutcome::SeenBefore)) => DeliveryOutcome::Duplicate,
                    Ok(Err(failure)) => DeliveryOutcome::Failed(failure),
                    Err(_) => DeliveryOutcome::Failed(NOT_IN_TIME),
                }
            }
        }
    }

    /// Enters a key as one that is being published, unless it is known.
    fn enter(&self, key: DedupKey, outcome: OutcomeReceiver) -> Entered {
        let mut known = self.known();
        if let Some(running) = known.in_flight.get(&key) {
            return Entered::Waiting(running.clone());
        }
        if known.memory.contains(&key) {
            return Entered::SeenBefore;
        }
        known.in_flight.insert(key, outcome);
        Entered::First
    }

    /// Publishes unless Redis knows the key, then remembers the key.
    async fn make<P>(
        &self,
        key: DedupKey,
        ttl: Duration,
        publish: P,
    ) -> Result<PublishOutcome, Failure>
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
                return Ok(PublishOutcome::SeenBefore);
            }
        }

        // A bug in one publish must not cost its sender the connection, nor those who wait their
        // answer.
        let published = AssertUnwindSafe(publish).catch_unwind().await;
        let stored_in = published.unwrap_or(Err(NOT_DURABLE))?;
        self.known().memory.remember(&key, ttl);

        // Redis does not learn of a webhook that only this replica's disk has. If the disk were
        // lost, whoever sends the webhook again must not be answered that we have it. The ledger
        // recognises a webhook that comes twice.
        if let Some(redis) = &self.redis
            && stored_in == StoredIn::Queue
        {
            redis.remember(key, ttl);
        }
        Ok(PublishOutcome::Stored(stored_in))
    }

    /// Waits until every publish that has outlived its request is over.
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

/// Waits for the outcome of the delivery that publishes.
async fn share_outcome(mut running: OutcomeReceiver, deadline: Instant) -> DeliveryOutcome {
    match timeout_at(deadline, running.wait_for(Option::is_some)).await {
        Ok(Ok(outcome)) => match *outcome {
            Some(Err(failure)) => DeliveryOutcome::Failed(failure),
            Some(Ok(_)) => DeliveryOutcome::Duplicate,
            None => DeliveryOutcome::Failed(NOT_DURABLE),
        },
        // The work ended without an outcome, because it panicked.
        Ok(Err(_)) => DeliveryOutcome::Failed(NOT_DURABLE),
        Err(_) => DeliveryOutcome::Failed(NOT_IN_TIME),
    }
}

/// Removes a key from those in flight when its publish ends, however it ends.
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
