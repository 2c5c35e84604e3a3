//! The closed loop: each connection has one webhook on its way at any time.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Barrier;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::{Connection, RECONNECT_PAUSE};
use super::order::Order;
use super::tally::Tally;
use super::webhook::Target;

/// Threads that send. Two keep up with a bare echo on two cores.
const THREADS: usize = 2;
/// How long answers are waited for after the end.
pub(super) const LAST_ANSWERS: Duration = Duration::from_secs(30);

pub(crate) struct Closed {
    pub(crate) target: Target,
    pub(crate) connections: usize,
    /// How long webhooks are sent, or less where the order ends before.
    pub(crate) lasts: Duration,
    pub(crate) order: Order,
}

impl Closed {
    pub(crate) async fn run(self) -> anyhow::Result<Tally> {
        let order = Arc::new(self.order);
        let threads = THREADS.min(self.connections);
        let all_connected = Arc::new(Barrier::new(threads));
        let share =
            |thread| self.connections / threads + usize::from(thread < self.connections % threads);

        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let sender = Sender {
                    target: self.target.clone(),
                    connections: share(thread),
                    lasts: self.lasts,
                    order: Arc::clone(&order),
                    all_connected: Arc::clone(&all_connected),
                };
                tokio::task::spawn_blocking(move || sender.run())
            })
            .collect();

        let mut tally = Tally::new(Duration::ZERO);
        for thread in running {
            tally.add(thread.await.context("a thread of the load panicked")??);
        }
        Ok(tally)
    }
}

/// The connections of one thread.
struct Sender {
    target: Target,
    connections: usize,
    lasts: Duration,
    order: Arc<Order>,
    all_connected: Arc<Barrier>,
}

impl Sender {
    fn run(self) -> anyhow::Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, self.send())
    }

    async fn send(self) -> anyhow::Result<Tally> {
        let connected = connect(&self.target, self.connections).await;
        // The other threads wait here too, even if this one failed.
        self.all_connected.wait().await;
        let connections = connected.context("failed to connect")?;

        let start = Instant::now();
        let end = start + self.lasts;
        let tally = Rc::new(RefCell::new(Tally::new(self.lasts)));
        let sending: Vec<_> = connections
            .into_iter()
            .map(|connection| {
                let (order, tally) = (Arc::clone(&self.order), Rc::clone(&tally));
                spawn_local(send_until(end, connection, order, tally))
            })
            .collect();
        for connection in sending {
            connection.await?;
        }
        let tally = Rc::into_inner(tally).context("a connection outlived the load")?;
        let mut tally = tally.into_inner();
        tally.window = start.elapsed().min(self.lasts);
        Ok(tally)
    }
}

pub(super) async fn connect(target: &Target, count: usize) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::to(target);
        connection.connect().await?;
        connections.push(connection);
    }
    Ok(connections)
}

async fn send_until(
    end: Instant,
    mut connection: Connection,
    order: Arc<Order>,
    tally: Rc<RefCell<Tally>>,
) {
    let sending = async {
        while Instant::now() < end {
            let Some((_, number)) = order.next() else {
                return;
            };
            // Counted as unanswered until the answer is there, for the case that it never comes.
            tally.borrow_mut().unanswered += 1;
            let started = Instant::now();
            let answer = connection.deliver(number).await;
            let ended = Instant::now();

            match answer {
                Ok(status) => {
                    let mut tally = tally.borrow_mut();
                    tally.unanswered -= 1;
                    tally.answered(number, status, ended - started, ended < end);
                }
                Err(_) => sleep(RECONNECT_PAUSE).await,
            }
        }
    };
    // What this cuts off stays counted as unanswered.
    let _ = timeout_at(end + LAST_ANSWERS, sending).await;
}
