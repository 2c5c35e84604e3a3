//! The open loop: a webhook is due at a constant rate, whether or not earlier ones were answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use super::closed::{LAST_ANSWERS, connect};
use super::connection::{Connection, RECONNECT_PAUSE};
use super::order::{Numbers, Order};
use super::tally::Tally;
use super::webhook::Target;

/// Between the last connection and the first webhook.
const LEAD: Duration = Duration::from_millis(50);

pub(crate) struct Open {
    pub(crate) target: Target,
    /// Webhooks that may be on their way at once. A webhook that finds all connections busy waits,
    /// and its latency counts from when it was due.
    pub(crate) connections: usize,
    pub(crate) per_second: u32,
    pub(crate) lasts: Duration,
    /// Hears of each payment when it was answered 200.
    pub(crate) answered: Option<Sender<(u32, Instant)>>,
}

impl Open {
    pub(crate) async fn run(self, numbers: &Numbers) -> anyhow::Result<Tally> {
        let total = (self.lasts.as_secs_f64() * f64::from(self.per_second)) as u32;
        let order = numbers.count(total);
        let sending = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            LocalSet::new().block_on(&runtime, self.send(total, order))
        });
        sending.await.context("the thread of the load panicked")?
    }

    async fn send(self, total: u32, order: Order) -> anyhow::Result<Tally> {
        let connections = connect(&self.target, self.connections)
            .await
            .context("failed to connect")?;
        let shared = Rc::new(Shared {
            start: Instant::now() + LEAD,
            lasts: self.lasts,
            gap: Duration::from_secs(1) / self.per_second,
            due: Arc::new(Semaphore::new(0)),
            order,
            answered: self.answered,
            tally: RefCell::new(Tally::new(self.lasts)),
        });

        let clock = shared.run_clock(total, connections.len());
        let sending: Vec<_> = connections
            .into_iter()
            .map(|connection| spawn_local(Rc::clone(&shared).send_what_is_due(connection)))
            .collect();
        for connection in sending {
            connection.await?;
        }
        clock
            .join()
            .map_err(|_| anyhow::anyhow!("the clock panicked"))?;
        let shared = Rc::into_inner(shared).context("a connection outlived the load")?;
        Ok(shared.tally.into_inner())
    }
}

struct Shared {
    start: Instant,
    lasts: Duration,
    gap: Duration,
    /// One permit for each webhook that is due and not yet taken.
    due: Arc<Semaphore>,
    order: Order,
    answered: Option<Sender<(u32, Instant)>>,
    tally: RefCell<Tally>,
}

impl Shared {
    /// Releases the webhooks one by one. It has a thread of its own, because the timer of tokio is
    /// good for a millisecond only.
    fn run_clock(&self, total: u32, connections: usize) -> thread::JoinHandle<()> {
        let (start, gap, due) = (self.start.into_std(), self.gap, Arc::clone(&self.due));
        thread::spawn(move || {
            for place in 0..total {
                let wait =
                    (start + gap * place).saturating_duration_since(std::time::Instant::now());
                if !wait.is_zero() {
                    thread::sleep(wait);
                }
                due.add_permits(1);
            }
            // Each connection wakes once more and finds that there is nothing left.
            due.add_permits(connections);
        })
    }

    async fn send_what_is_due(self: Rc<Self>, mut connection: Connection) {
        let end = self.start + self.lasts;
        let sending = async {
            while let Ok(permit) = self.due.acquire().await {
                permit.forget();
                let Some((place, number)) = self.order.next() else {
                    return;
                };
                let due = self.start + self.gap * place as u32;
                self.deliver(&mut connection, number, due, end).await;
            }
        };
        // What this cuts off stays counted as unanswered.
        let _ = timeout_at(end + LAST_ANSWERS, sending).await;
    }

    async fn deliver(&self, connection: &mut Connection, number: u32, due: Instant, end: Instant) {
        self.tally.borrow_mut().unanswered += 1;
        let answer = connection.deliver(number).await;
        let ended = Instant::now();

        let Ok(status) = answer else {
            sleep(RECONNECT_PAUSE).await;
            return;
        };
        let mut tally = self.tally.borrow_mut();
        tally.unanswered -= 1;
        tally.answered(number, status, ended - due, ended < end);
        if let (200, Some(answered)) = (status, &self.answered) {
            // Whoever listens has room for the whole load, or has ended.
            let _ = answered.try_send((number, ended));
        }
    }
}
