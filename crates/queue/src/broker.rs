//! The two connections of a program, and what is done over them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::uri::AMQPUri;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::broker_state::follow_connections;
use crate::closing::close_channel;
use crate::connection::{
    ConnectionState, ConnectionSupervisor, OpenConnection, TopologyUse, parse_url,
};
use crate::consumer::subscribe;
use crate::delivery::DeliveryChannel;
use crate::publisher::{PublishChannels, TotalLoad};
use crate::request::{REQUEST_TIMEOUT, answered};
use crate::traffic::Traffic;
use crate::{
    BrokerError, BrokerState, Consumer, Delivery, Publisher, StartError, Target, Topology,
};

const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// A program's access to the broker. It is cheap to clone. The connections close when `cancel`
/// fires, or when the last clone, publisher and consumer is dropped.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

pub(crate) struct Inner {
    uri: AMQPUri,
    pub(crate) topology: Topology,
    topology_use: TopologyUse,
    name: &'static str,
    cancel: CancellationToken,
    tasks: TaskTracker,
    channel_tasks: TaskTracker,
    redeclare: Arc<Notify>,
    publish: watch::Receiver<ConnectionState>,
    consume: watch::Sender<ConnectionState>,
    consume_started: OnceLock<()>,
    state: watch::Receiver<BrokerState>,
    get_channel: Mutex<Option<Arc<DeliveryChannel>>>,
    publisher: OnceLock<Arc<PublishChannels>>,
    publish_load: Arc<TotalLoad>,
    traffic: Arc<Traffic>,
    _cancels_with_the_last_handle: DropGuard,
}

impl Broker {
    /// Starts connecting to the queues of a namespace, as [`start`](Self::start) does. The
    /// connections close with [`close`](Self::close), not with the program's first signal, so that
    /// what is held then can still be acked.
    ///
    /// # Errors
    /// The URL or the namespace cannot be used.
    pub fn connect(url: &str, namespace: &str, name: &'static str) -> Result<Self, StartError> {
        let topology = Topology::new(namespace)?;
        Self::start(url, topology, name, CancellationToken::new())
    }

    /// Starts connecting as [`connect`](Self::connect) does, and declares nothing. What is not there
    /// is told by [`queue_depth`](Self::queue_depth).
    ///
    /// # Errors
    /// See [`connect`](Self::connect).
    pub fn connect_without_declaring(
        url: &str,
        namespace: &str,
        name: &'static str,
    ) -> Result<Self, StartError> {
        let topology = Topology::new(namespace)?;
        let cancel = CancellationToken::new();
        Self::start_with(url, topology, TopologyUse::Expect, name, cancel)
    }

    /// Starts connecting, and keeps trying for as long as it takes. The broker shows `name` in its
    /// list of connections. `cancel` closes the connections at once. Cancel it when all that is
    /// held has been acked, not with the first signal.
    ///
    /// # Errors
    /// The URL cannot be parsed.
    pub fn start(
        url: &str,
        topology: Topology,
        name: &'static str,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        Self::start_with(url, topology, TopologyUse::Declare, name, cancel)
    }

    fn start_with(
        url: &str,
        topology: Topology,
        topology_use: TopologyUse,
        name: &'static str,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        let uri = parse_url(url).map_err(StartError::Url)?;
        let cancel = cancel.child_token();
        let still_connecting = ConnectionState::Down("still connecting".into());
        let (publish_tx, publish) = watch::channel(still_connecting);
        let (consume, consume_rx) = watch::channel(ConnectionState::Unused);
        let (state_tx, state) = watch::channel(BrokerState::Down);
        let inner = Inner {
            uri,
            topology,
            topology_use,
            name,
            tasks: TaskTracker::new(),
            channel_tasks: TaskTracker::new(),
            redeclare: Arc::new(Notify::new()),
            consume,
            consume_started: OnceLock::new(),
            state,
            get_channel: Mutex::new(None),
            publisher: OnceLock::new(),
            publish_load: TotalLoad::of_broker(),
            traffic: Arc::default(),
            _cancels_with_the_last_handle: cancel.clone().drop_guard(),
            cancel,
            publish: publish.clone(),
        };
        inner
            .tasks
            .spawn(inner.supervisor("publish").run(publish_tx));
        inner
            .tasks
            .spawn(follow_connections(publish, consume_rx, state_tx));
        Ok(Self(Arc::new(inner)))
    }

    /// Returns the publisher that all callers of this method share. All of a broker's publishers
    /// share its bounds.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        let channels = self
            .0
            .publisher
            .get_or_init(|| Arc::new(self.start_channels()));
        Publisher::new(channels.clone(), self.clone())
    }

    /// Starts a publisher with channels of its own, whose tasks run on the runtime of the calling
    /// thread and end with it. A thread that publishes much saves two changes of thread per
    /// publish.
    #[must_use]
    pub fn publisher_of_this_thread(&self) -> Publisher {
        Publisher::new(Arc::new(self.start_channels()), self.clone())
    }

    fn start_channels(&self) -> PublishChannels {
        PublishChannels::start(
            &self.0.topology,
            &self.0.publish,
            &self.0.redeclare,
            &self.0.cancel,
            &self.0.channel_tasks,
            &self.0.publish_load,
        )
    }

    /// Begins to consume. `prefetch` (1 to 2,000) bounds the messages that are delivered and not
    /// acked.
    #[must_use]
    pub fn consumer(&self, target: Target, prefetch: u16) -> Consumer {
        let (consumer, task) = subscribe(self.clone(), target, prefetch.clamp(1, 2_000));
        self.0.channel_tasks.spawn(task);
        consumer
    }

    /// Follows the state, which starts as [`BrokerState::Down`].
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.0.state.clone()
    }

    /// Returns why the state is not [`BrokerState::Up`], for a readiness check. Examples are a
    /// refused login, and a queue that exists with other arguments.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problem = |state: &ConnectionState| match state {
            ConnectionState::Down(reason) => Some(reason.to_string()),
            ConnectionState::Blocked(_) => Some("takes no publishes at the moment".into()),
            ConnectionState::Unused | ConnectionState::Up(_) => None,
        };
        problem(&self.0.publish.borrow()).or_else(|| problem(&self.0.consume.borrow()))
    }

    /// Reports the state, now and at each change, in the form of a readiness check. It never ends,
    /// and is meant to be dropped.
    pub async fn report_state(&self, mut report: impl FnMut(Result<(), String>)) {
        let mut state = self.state();
        loop {
            report(match *state.borrow_and_update() {
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

    /// Waits until the broker takes publishes. When the broker is cancelled, it waits for ever.
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

    /// Takes the first message of the queue, if there is one. A message that is dropped without ack
    /// comes back when the broker's connection closes. It waits up to ten seconds for a connection.
    ///
    /// # Errors
    /// There is no connection, no answer within ten seconds, or no such queue.
    pub async fn get(&self, target: Target) -> Result<Option<Delivery>, BrokerError> {
        let connection = self.open_connection().await?;
        let mut kept = self.0.get_channel.lock().await;
        let channel = match kept.take() {
            Some(kept) if kept.channel.status().connected() => kept,
            _ => DeliveryChannel::new(connection.channel().await?, self.0.channel_tasks.clone()),
        };
        let getting = channel.channel.basic_get(
            self.0.topology.queue(target).into(),
            BasicGetOptions { no_ack: false },
        );
        let got = answered("get a message", getting).await?;
        let delivery =
            got.map(|got| Delivery::new(got.delivery, &channel, self.0.traffic.hold(target)));
        *kept = Some(channel);
        Ok(delivery)
    }

    /// Closes the channels and then both connections, or abandons them after a second. Messages that
    /// are held and not acked are delivered again.
    pub async fn close(&self) {
        let closing = async {
            if let Some(kept) = self.0.get_channel.lock().await.take() {
                close_channel(&kept.channel, "closing").await;
            }
            self.0.cancel.cancel();
            self.0.tasks.close();
            self.0.tasks.wait().await;
        };
        timeout(CLOSE_WAIT, closing).await.ok();
        self.0.cancel.cancel();
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.0.traffic
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.0.topology
    }

    /// Returns the tasks that the connections wait for before they close.
    pub(crate) fn channel_tasks(&self) -> TaskTracker {
        self.0.channel_tasks.clone()
    }

    /// Returns the signal that asks for the topology to be declared again.
    pub(crate) fn redeclare(&self) -> Arc<Notify> {
        self.0.redeclare.clone()
    }

    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.0.cancel.clone()
    }

    /// Follows the consuming connection. The first call makes the connection.
    pub(crate) fn consuming_connection(&self) -> watch::Receiver<ConnectionState> {
        self.0.consume_started.get_or_init(|| {
            let still_connecting = ConnectionState::Down("still connecting".into());
            self.0.consume.send_replace(still_connecting);
            self.0
                .tasks
                .spawn(self.0.supervisor("consume").run(self.0.consume.clone()));
        });
        self.0.consume.subscribe()
    }

    /// Waits for a connection to look at queues by.
    pub(crate) async fn looking_connection(&self) -> Result<Arc<OpenConnection>, BrokerError> {
        // A program that only publishes gets no second connection for this.
        match self.0.consume_started.get() {
            Some(()) => self.open_connection().await,
            None => wait_open(self.0.publish.clone()).await,
        }
    }

    /// Waits for the consuming connection.
    async fn open_connection(&self) -> Result<Arc<OpenConnection>, BrokerError> {
        wait_open(self.consuming_connection()).await
    }
}

async fn wait_open(
    mut state: watch::Receiver<ConnectionState>,
) -> Result<Arc<OpenConnection>, BrokerError> {
    let connected = state
        .wait_for(|state| matches!(state, ConnectionState::Up(_) | ConnectionState::Blocked(_)));
    let found = timeout(REQUEST_TIMEOUT, connected)
        .await
        .map_err(|_| BrokerError::Down)?
        .map_err(|_| BrokerError::Down)?;
    match &*found {
        ConnectionState::Up(open) | ConnectionState::Blocked(open) => Ok(open.clone()),
        ConnectionState::Unused | ConnectionState::Down(_) => Err(BrokerError::Down),
    }
}

impl Inner {
    fn supervisor(&self, purpose: &str) -> ConnectionSupervisor {
        ConnectionSupervisor {
            uri: self.uri.clone(),
            topology: self.topology.clone(),
            topology_use: self.topology_use,
            channel_tasks: self.channel_tasks.clone(),
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
