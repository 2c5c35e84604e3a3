//! The tier replicas share. It only ever saves work: when it is slow or gone, we go on without it (protocol A4).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, cmd};

use super::Key;

/// One look or one mark waits no longer than this.
const DEADLINE: Duration = Duration::from_millis(50);
/// After so many misses of the deadline in a row …
const FAILURES_MAX: u32 = 3;
/// … nothing is asked for this long.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Yes,
    No,
    /// No answer in time, or not asked while the breaker is open.
    Unknown,
}

impl Redis {
    /// Connects when first used, so that ingress starts with Redis away.
    pub(super) fn new(url: &str, namespace: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(DEADLINE))
            .set_number_of_retries(1)
            .set_max_delay(PAUSE);
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?,
            prefix: format!("{namespace}:seen:"),
            breaker: Mutex::default(),
        })
    }

    pub(super) async fn has(&self, key: &Key) -> Seen {
        let name = self.name(key);
        match self
            .ask(|mut c| async move { cmd("EXISTS").arg(name).query_async::<bool>(&mut c).await })
            .await
        {
            Some(true) => Seen::Yes,
            Some(false) => Seen::No,
            None => Seen::Unknown,
        }
    }

    /// Whether the mark was confirmed.
    pub(super) async fn remember(&self, key: &Key, ttl: Duration) -> bool {
        let name = self.name(key);
        let seconds = ttl.as_secs().max(1);
        self.ask(|mut c| async move {
            cmd("SET")
                .arg(name)
                .arg(1)
                .arg("EX")
                .arg(seconds)
                .query_async::<()>(&mut c)
                .await
        })
        .await
        .is_some()
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{}", self.prefix, key.hex())
    }

    async fn ask<T, F: Future<Output = Result<T, RedisError>>>(
        &self,
        question: impl FnOnce(ConnectionManager) -> F,
    ) -> Option<T> {
        if self
            .breaker()
            .open_until
            .is_some_and(|until| Instant::now() < until)
        {
            return None;
        }
        let answer = tokio::time::timeout(DEADLINE, question(self.manager.clone())).await;
        let mut breaker = self.breaker();
        if let Ok(Ok(value)) = answer {
            *breaker = Breaker::default();
            return Some(value);
        }
        breaker.failures += 1;
        if breaker.failures >= FAILURES_MAX {
            breaker.open_until = Some(Instant::now() + PAUSE);
            if breaker.failures == FAILURES_MAX {
                tracing::warn!(
                    "redis does not answer in time; deduplicating in memory and in the ledger only"
                );
            }
        }
        None
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
