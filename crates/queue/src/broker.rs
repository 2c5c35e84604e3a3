//! The two connections of a program and what is done over them.

use crate::{
    BrokerError, Consumer, Delivery, Publisher, StartError, Target, Topology,
    consumer::subscribe,
    link::{self, Link, Live, Phase},
    publisher,
};
use lapin::{
    Channel,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What a program may count on at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    /// A connection in use is down.
    Down,
    Up,
    /// Connected, but the broker takes no publishes (memory or disk alarm).
    Blocked,
}

/// A program's hold on the broker. Cheap to clone; the connections close when `cancel` fires or the last clone, publisher and consumer is
/// dropped.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

pub(crate) struct Inner {
    uri: AMQPUri,
    pub(crate) topology: Topology,
    name: &'static str,
    cancel: CancellationToken,
    tasks: TaskTracker,
    redeclare: Arc<Notify>,
    publish: watch::Receiver<Phase>,
    consume: watch::Sender<Phase>,
    consume_started: OnceLock<()>,
    state: watch::Receiver<BrokerState>,
    gets: Mutex<Option<Channel>>,
    publisher: OnceLock<Arc<publisher::Pool>>,
    _ends_with_the_last_handle: DropGuard,
}

impl Broker {
    /// Starts connecting, and goes on for as long as it takes. `name` is shown among the broker's connections. `cancel` closes the
    /// connections at once: cancel it when all that is held has been acked, not with the first signal.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn start(
        url: &str,
        topology: Topology,
        name: &'static str,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        let uri = link::parse(url).map_err(StartError)?;
        let cancel = cancel.child_token();
        let (publish_tx, publish) = watch::channel(Phase::Down("still connecting".into()));
        let (consume, consume_rx) = watch::channel(Phase::Idle);
        let (state_tx, state) = watch::channel(BrokerState::Down);
        let inner = Inner {
            uri,
            topology,
            name,
            tasks: TaskTracker::new(),
            redeclare: Arc::new(Notify::new()),
            consume,
            consume_started: OnceLock::new(),
            state,
            gets: Mutex::new(None),
            publisher: OnceLock::new(),
            _ends_with_the_last_handle: cancel.clone().drop_guard(),
            cancel,
            publish: publish.clone(),
        };
        inner.tasks.spawn(inner.link("publish").run(publish_tx));
        inner.tasks.spawn(merge(publish, consume_rx, state_tx));
        Ok(Self(Arc::new(inner)))
    }

    /// A publisher; all of a broker's publishers share its bounds.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let pool = self.0.publisher.get_or_init(|| {
            let Inner {
                topology,
                publish,
                redeclare,
                ..
            } = &*self.0;
            Arc::new(publisher::Pool::new(
                topology.clone(),
                publish.clone(),
                redeclare.clone(),
            ))
        });
        Publisher::new(pool.clone(), self.clone())
    }

    /// Begins to consume. `prefetch` (1 to 2,000) bounds what is delivered and not acked.
    #[must_use]
    pub fn consumer(&self, target: Target, prefetch: u16) -> Consumer {
        let (consumer, task) = subscribe(self.clone(), target, prefetch.clamp(1, 2_000));
        self.0.tasks.spawn(task);
        consumer
    }

    /// Follows the state; starts with [`BrokerState::Down`].
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.0.state.clone()
    }

    /// Why the state is not [`BrokerState::Up`], for a readiness check: a refused login, a queue that exists with other arguments.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let why = |phase: &Phase| match phase {
            Phase::Down(why) => Some(why.to_string()),
            Phase::Blocked(_) => Some("takes no publishes at the moment".into()),
            Phase::Idle | Phase::Up(_) => None,
        };
        why(&self.0.publish.borrow()).or_else(|| why(&self.0.consume.borrow()))
    }

    /// Tells of the state, now and at each change, in the form of a readiness check. Goes on until dropped.
    pub async fn tell(&self, mut check: impl FnMut(Result<(), String>)) {
        let mut state = self.state();
        loop {
            check(match *state.borrow_and_update() {
                BrokerState::Up => Ok(()),
                BrokerState::Down | BrokerState::Blocked => {
                    Err(self.problem().unwrap_or_else(|| "not connected".to_owned()))
                }
            });
            if state.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the broker takes publishes. Only a cancelled broker makes it wait for ever.
    pub async fn wait_up(&self) {
        let mut state = self.state();
        if state
            .wait_for(|state| *state == BrokerState::Up)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// Messages waiting to be delivered; those delivered and not acked do not count. Waits up to ten seconds for a connection.
    ///
    /// # Errors
    /// Not connected, no answer within ten seconds, or no such queue.
    pub async fn depth(&self, target: Target) -> Result<u64, BrokerError> {
        let channel = self.live().await?.channel().await?;
        let options = QueueDeclareOptions::durable().passive();
        let asking = channel.queue_declare(
            self.0.topology.queue(target).into(),
            options,
            FieldTable::default(),
        );
        let answer = timeout(REQUEST_TIMEOUT, asking)
            .await
            .map_err(|_| BrokerError::Timeout)?;
        let queue = answer.map_err(|e| BrokerError::Request {
            what: "look at a queue",
            source: e.into(),
        })?;
        Ok(queue.message_count().into())
    }

    /// Takes the message at the head, if there is one. Dropped without ack it comes back when the broker's connection closes. Waits up to
    /// ten seconds for a connection.
    ///
    /// # Errors
    /// Not connected, no answer within ten seconds, or no such queue.
    pub async fn get(&self, target: Target) -> Result<Option<Delivery>, BrokerError> {
        let live = self.live().await?;
        let mut kept = self.0.gets.lock().await;
        let channel = match kept.take() {
            Some(channel) if channel.status().connected() => channel,
            _ => live.channel().await?,
        };
        let asking = channel.basic_get(
            self.0.topology.queue(target).into(),
            BasicGetOptions { no_ack: false },
        );
        let answer = timeout(REQUEST_TIMEOUT, asking)
            .await
            .map_err(|_| BrokerError::Timeout)?;
        let got = answer.map_err(|e| BrokerError::Request {
            what: "get a message",
            source: e.into(),
        })?;
        let delivery = got.map(|got| Delivery::new(got.delivery, &channel));
        *kept = Some(channel);
        Ok(delivery)
    }

    /// Closes both connections in good order, or leaves them after a second. What is held and not acked is delivered again.
    pub async fn close(&self) {
        self.0.cancel.cancel();
        self.0.tasks.close();
        timeout(Duration::from_secs(1), self.0.tasks.wait())
            .await
            .ok();
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.0.topology
    }

    /// Asks for the topology to be declared again.
    pub(crate) fn redeclare(&self) -> Arc<Notify> {
        self.0.redeclare.clone()
    }

    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.0.cancel.clone()
    }

    /// The consuming connection, which is made when the first one needs it.
    pub(crate) fn consuming(&self) -> watch::Receiver<Phase> {
        self.0.consume_started.get_or_init(|| {
            self.0
                .consume
                .send_replace(Phase::Down("still connecting".into()));
            self.0
                .tasks
                .spawn(self.0.link("consume").run(self.0.consume.clone()));
        });
        self.0.consume.subscribe()
    }

    async fn live(&self) -> Result<Arc<Live>, BrokerError> {
        let mut phase = self.consuming();
        let up = phase.wait_for(|phase| matches!(phase, Phase::Up(_) | Phase::Blocked(_)));
        let found = timeout(REQUEST_TIMEOUT, up)
            .await
            .map_err(|_| BrokerError::Down)?
            .map_err(|_| BrokerError::Down)?;
        match &*found {
            Phase::Up(live) | Phase::Blocked(live) => Ok(live.clone()),
            Phase::Idle | Phase::Down(_) => Err(BrokerError::Down),
        }
    }
}

impl Inner {
    fn link(&self, purpose: &str) -> Link {
        Link {
            uri: self.uri.clone(),
            topology: self.topology.clone(),
            name: format!("{} {purpose}", self.name),
            cancel: self.cancel.clone(),
            redeclare: self.redeclare.clone(),
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("name", &self.0.name)
            .field("state", &*self.0.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Keeps the program's state in step with its two connections.
async fn merge(
    mut publish: watch::Receiver<Phase>,
    mut consume: watch::Receiver<Phase>,
    state: watch::Sender<BrokerState>,
) {
    loop {
        let now = merged(&publish.borrow_and_update(), &consume.borrow_and_update());
        state.send_if_modified(|state| std::mem::replace(state, now) != now);
        let changed = tokio::select! {
            changed = publish.changed() => changed,
            changed = consume.changed() => changed,
        };
        if changed.is_err() {
            state.send_replace(BrokerState::Down);
            return;
        }
    }
}

fn merged(publish: &Phase, consume: &Phase) -> BrokerState {
    match (publish, consume) {
        (Phase::Idle | Phase::Down(_), _) | (_, Phase::Down(_)) => BrokerState::Down,
        (Phase::Blocked(_), _) => BrokerState::Blocked,
        (Phase::Up(_), _) => BrokerState::Up,
    }
}
