//! The cache that replicas share. It only saves work. When Redis is slow or gone, ingress goes on
//! without it (protocol A4).

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, cmd};

use super::DedupKey;

/// Longest wait for one answer of Redis.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(50);
/// How many failures in a row open the breaker.
const FAILURES_MAX: u32 = 3;
/// How long the breaker stays open.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Redis {
    manager: ConnectionManager,
    prefix: String,
    breaker: Mutex<Breaker>,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    fn is_open(&self) -> bool {
        self.open_until.is_some_and(|until| Instant::now() < until)
    }

    fn record_failure(&mut self) {
        self.failures += 1;
        if self.failures < FAILURES_MAX {
            return;
        }

        self.open_until = Some(Instant::now() + PAUSE);
        // Only the first opening is logged, not each one while Redis stays away.
        if self.failures == FAILURES_MAX {
            tracing::warn!(
                "redis does not answer in time; deduplicating in memory and in the ledger only"
            );
        }
    }
}

/// Redis did not answer in time, or was not asked because the breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

impl Redis {
    /// Connects when first used, so that ingress starts while Redis is away.
    pub(super) fn new(url: &str, namespace: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(1)
            .set_max_delay(PAUSE);
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?,
            prefix: format!("{namespace}:seen:"),
            breaker: Mutex::default(),
        })
    }

    pub(super) async fn contains(&self, key: &DedupKey) -> Result<bool, NoAnswer> {
        let name = self.name(key);
        self.ask(|mut connection| async move {
            cmd("EXISTS")
                .arg(name)
                .query_async::<bool>(&mut connection)
                .await
        })
        .await
    }

    pub(super) async fn remember(&self, key: &DedupKey, ttl: Duration) -> Result<(), NoAnswer> {
        let name = self.name(key);
        let seconds = ttl.as_secs().max(1);
        self.ask(|mut connection| async move {
            cmd("SET")
                .arg(name)
                .arg(1)
                .arg("EX")
                .arg(seconds)
                .query_async::<()>(&mut connection)
                .await
        })
        .await
    }

    fn name(&self, key: &DedupKey) -> String {
        format!("{}{}", self.prefix, key.hex())
    }

    async fn ask<T, F: Future<Output = Result<T, RedisError>>>(
        &self,
        question: impl FnOnce(ConnectionManager) -> F,
    ) -> Result<T, NoAnswer> {
        if self.breaker().is_open() {
            return Err(NoAnswer);
        }

        let answer = tokio::time::timeout(ANSWER_TIMEOUT, question(self.manager.clone())).await;
        if let Ok(Ok(value)) = answer {
            *self.breaker() = Breaker::default();
            return Ok(value);
        }
        self.breaker().record_failure();
        Err(NoAnswer)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
