//! One publish per webhook, however often and however fast it comes (protocol A2–A4).
//!
//! A key is remembered only after its message is durable. Until then, deliveries of the same key wait for the
//! one that came first and share its fate; a failure is remembered by nobody.

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
use redis::{Redis, Seen};

/// (merchant, provider, delivery key, digest of the money facts), hashed: it may show in Redis, where a
/// delivery key with its phone digits must not (protocol A3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
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
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Once {
    /// This delivery made it durable, and where.
    First(Kept),
    /// Another one had, or just did.
    Seen,
    /// Not durable; why, in words fit for the sender.
    Failed(&'static str),
}

/// Where a message is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Queued,
    Spooled,
}

/// Why a message could not be made durable.
pub(crate) type Failure = &'static str;

/// Each key under way, and where its fate will be told.
type InFlight = HashMap<Key, watch::Receiver<Option<Result<Made, Failure>>>>;

pub(crate) struct Dedup {
    memory: Memory,
    redis: Option<Redis>,
    in_flight: Mutex<InFlight>,
    in_flight_max: usize,
    tasks: TaskTracker,
    /// Tasks run here: a worker thread's own runtime ends with the server.
    runtime: Handle,
    metrics: DedupMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Now(Kept),
    Before,
}

pub(crate) struct Settings<'a> {
    pub(crate) entries_max: u64,
    pub(crate) in_flight_max: usize,
    pub(crate) redis_url: Option<&'a str>,
    pub(crate) namespace: &'a str,
}

impl Dedup {
    /// Call it on the runtime that shall do the work.
    pub(crate) fn new(
        settings: &Settings<'_>,
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

    /// Runs `publish` unless the key was seen or is under way; answers by `deadline` whatever happens.
    ///
    /// The work goes on in a task of its own: a sender that hangs up neither cancels a publish nor makes a
    /// waiter start a second one.
    pub(crate) async fn once<P>(
        self: &Arc<Self>,
        key: Key,
        ttl: Duration,
        deadline: Instant,
        publish: P,
    ) -> Once
    where
        P: Future<Output = Result<Kept, Failure>> + Send + 'static,
    {
        let (mut verdict, first) = {
            let mut in_flight = self.in_flight();
            if let Some(running) = in_flight.get(&key) {
                (running.clone(), false)
            } else if self.memory.has(&key) {
                self.metrics.memory_hit();
                return Once::Seen;
            } else if in_flight.len() >= self.in_flight_max {
                return Once::Failed("too many webhooks are waiting to be made durable");
            } else {
                let (tell, verdict) = watch::channel(None);
                in_flight.insert(key, verdict.clone());
                self.metrics.memory_miss();
                // The guard is made here, so that the key leaves the map even if the task never runs.
                let place = Place {
                    dedup: Arc::clone(self),
                    key,
                };
                let work = async move {
                    let made = place.dedup.make(key, ttl, publish).await;
                    // Memory knows the key before the place is given up: no delivery slips between.
                    drop(place);
                    tell.send_replace(Some(made));
                };
                self.tasks.spawn_on(work, &self.runtime);
                (verdict, true)
            }
        };
        let told = tokio::time::timeout_at(deadline, verdict.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(value)) => match *value {
                Some(Ok(Made::Now(kept))) if first => Once::First(kept),
                Some(Ok(Made::Now(_) | Made::Before)) => Once::Seen,
                Some(Err(why)) => Once::Failed(why),
                None => Once::Failed("the webhook was not made durable"),
            },
            Ok(Err(_)) => Once::Failed("the webhook was not made durable"),
            Err(_) => Once::Failed("the webhook was not made durable in time"),
        }
    }

    async fn make<P>(&self, key: Key, ttl: Duration, publish: P) -> Result<Made, Failure>
    where
        P: Future<Output = Result<Kept, Failure>> + Send + 'static,
    {
        if let Some(redis) = &self.redis {
            let seen = redis.has(&key).await;
            self.metrics.redis(match seen {
                Seen::Yes => "hit",
                Seen::No => "miss",
                Seen::Unknown => "error",
            });
            if seen == Seen::Yes {
                self.memory.remember(key, ttl);
                return Ok(Made::Before);
            }
        }
        let kept = publish.await?;
        self.memory.remember(key, ttl);
        // What is on this replica's disk alone is no duplicate to others: were the disk lost, whoever sends it again must not be
        // told that we have it. The ledger knows those that come twice.
        if let Some(redis) = &self.redis
            && kept == Kept::Queued
            && !redis.remember(&key, ttl).await
        {
            self.metrics.redis("error");
        }
        Ok(Made::Now(kept))
    }

    /// Waits until nothing is under way; no new work may be started meanwhile.
    pub(crate) async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn in_flight(&self) -> MutexGuard<'_, InFlight> {
        // A panic while the map was held leaves it whole: each use is one insert, look-up or removal.
        self.in_flight
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A key's place among those under way; given up when the task ends, however it ends.
struct Place {
    dedup: Arc<Dedup>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.dedup.in_flight().remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
