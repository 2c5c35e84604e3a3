//! The tier that replicas share. It only saves work, so ingress goes on without it whenever it is slow
//! or gone (protocol A4).
//!
//! One task talks to Redis. It takes all questions and marks that wait and sends them in one pipeline,
//! at most one each millisecond, so that a busy ingress costs Redis and itself one round trip for many
//! webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Pipeline, RedisError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::DedupKey;
use crate::metrics::DedupMetrics;

/// The longest wait for one question.
const DEADLINE: Duration = Duration::from_millis(50);
/// Failures in a row after which Redis is left alone for a while.
const FAILURES_MAX: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// The least time between two pipelines. The first webhook after a quiet moment does not wait for it.
const BETWEEN_PIPELINES: Duration = Duration::from_millis(1);
/// Requests of one pipeline.
const BATCH_MAX: usize = 256;
/// Requests that wait for the task. Further questions are not asked, and further marks are not set.
const WAITING_MAX: usize = 4_096;

pub(super) struct Redis {
    requests: mpsc::Sender<Request>,
    is_paused: Arc<AtomicBool>,
    metrics: DedupMetrics,
}

enum Request {
    Contains {
        key: DedupKey,
        reply: oneshot::Sender<bool>,
    },
    Remember {
        key: DedupKey,
        ttl: Duration,
    },
}

/// Redis did not answer in time, or was not asked because it did not answer lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

impl Redis {
    /// Starts the task. It connects at the first use, so ingress starts with Redis away.
    pub(super) fn start(
        url: &str,
        namespace: &str,
        metrics: DedupMetrics,
    ) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(DEADLINE))
            .set_number_of_retries(1)
            .set_max_delay(PAUSE);
        let manager = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        let (requests, received) = mpsc::channel(WAITING_MAX);
        let is_paused = Arc::new(AtomicBool::new(false));
        let task = RedisTask {
            manager,
            prefix: format!("{namespace}:seen:"),
            requests: received,
            is_paused: is_paused.clone(),
            metrics: metrics.clone(),
        };
        tokio::spawn(task.run());
        Ok(Self {
            requests,
            is_paused,
            metrics,
        })
    }

    pub(super) async fn contains(&self, key: DedupKey) -> Result<bool, NoAnswer> {
        if self.is_paused.load(Ordering::Relaxed) {
            return Err(NoAnswer);
        }
        let (reply, answer) = oneshot::channel();
        self.requests
            .try_send(Request::Contains { key, reply })
            .map_err(|_| NoAnswer)?;
        let answered = timeout(DEADLINE, answer).await;
        answered.map_err(|_| NoAnswer)?.map_err(|_| NoAnswer)
    }

    /// Has the key marked soon. Nobody waits for that: a mark that is lost costs one more publish.
    pub(super) fn remember(&self, key: DedupKey, ttl: Duration) {
        let refused = self.is_paused.load(Ordering::Relaxed)
            || self
                .requests
                .try_send(Request::Remember { key, ttl })
                .is_err();
        if refused {
            self.metrics.redis_error();
        }
    }
}

struct RedisTask {
    manager: ConnectionManager,
    prefix: String,
    requests: mpsc::Receiver<Request>,
    is_paused: Arc<AtomicBool>,
    metrics: DedupMetrics,
}

impl RedisTask {
    /// Sends batches until the last handle is dropped.
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut failures = 0;
        let mut not_before = Instant::now();
        while self.requests.recv_many(&mut batch, BATCH_MAX).await > 0 {
            if Instant::now() < not_before {
                sleep_until(not_before).await;
                self.take_waiting(&mut batch);
            }
            not_before = Instant::now() + BETWEEN_PIPELINES;
            if self.send(&mut batch).await.is_ok() {
                failures = 0;
                continue;
            }
            failures += 1;
            if failures < FAILURES_MAX {
                continue;
            }
            if failures == FAILURES_MAX {
                tracing::warn!(
                    "redis does not answer in time; deduplicating in memory and in the ledger only"
                );
            }
            self.pause().await;
        }
    }

    /// Adds what has come meanwhile.
    fn take_waiting(&mut self, batch: &mut Vec<Request>) {
        while batch.len() < BATCH_MAX
            && let Ok(request) = self.requests.try_recv()
        {
            batch.push(request);
        }
    }

    /// Sends one pipeline and answers the questions in it. Questions without an answer are dropped,
    /// which their askers read as such.
    async fn send(&mut self, batch: &mut Vec<Request>) -> Result<(), NoAnswer> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        let mut replies = Vec::with_capacity(batch.len());
        let mut marks = 0;
        for request in batch.drain(..) {
            match request {
                Request::Contains { key, reply } => {
                    pipeline.cmd("EXISTS").arg(self.name(&key));
                    replies.push(reply);
                }
                Request::Remember { key, ttl } => {
                    let seconds = ttl.as_secs().max(1);
                    pipeline
                        .cmd("SET")
                        .arg(self.name(&key))
                        .arg(1)
                        .arg("EX")
                        .arg(seconds)
                        .ignore();
                    marks += 1;
                }
            }
        }

        let asked = timeout(
            DEADLINE,
            pipeline.query_async::<Vec<bool>>(&mut self.manager),
        );
        match asked.await {
            Ok(Ok(answers)) if answers.len() == replies.len() => {
                for (reply, known) in replies.into_iter().zip(answers) {
                    reply.send(known).ok();
                }
                Ok(())
            }
            _ => {
                (0..marks).for_each(|_| self.metrics.redis_error());
                Err(NoAnswer)
            }
        }
    }

    /// Leaves Redis alone for a while. Requests that wait are dropped.
    async fn pause(&mut self) {
        self.is_paused.store(true, Ordering::Relaxed);
        let until = Instant::now() + PAUSE;
        while let Ok(Some(request)) = tokio::time::timeout_at(until, self.requests.recv()).await {
            if let Request::Remember { .. } = request {
                self.metrics.redis_error();
            }
        }
        self.is_paused.store(false, Ordering::Relaxed);
    }

    fn name(&self, key: &DedupKey) -> String {
        format!("{}{}", self.prefix, key.hex())
    }
}
