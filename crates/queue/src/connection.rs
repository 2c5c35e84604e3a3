//! One connection to the broker, made again whenever it is lost.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::BrokerError;
use crate::backoff::Backoff;
use crate::closing::{CHANNELS_CLOSE_WAIT, close_channel};
use crate::request::{REQUEST_TIMEOUT, answered};
use crate::topology::Topology;

/// From the request to declare the topology again to the declaration.
const REDECLARE_DELAY: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest that RabbitMQ's guide to heartbeats calls safe. A frozen broker is noticed after
/// two of them.
const HEARTBEAT_SECONDS: u16 = 5;
/// lapin reports a lost connection by an event. The status shows the losses that it does not
/// report.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// What a connection can be used for at the moment.
#[derive(Clone)]
pub(crate) enum ConnectionState {
    /// Nobody has needed it yet.
    Unused,
    /// It is not connected, for this reason.
    Down(Arc<str>),
    Up(Arc<OpenConnection>),
    /// It is connected, but the broker takes no publishes from it.
    Blocked(Arc<OpenConnection>),
}

/// What a connection does about the exchanges and queues of its namespace (protocol B1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopologyUse {
    /// It declares them.
    Declare,
    /// It uses those that are there. A person's command must not make the queues of a namespace
    /// that is only misspelled.
    Expect,
}

/// A connection that is open.
pub(crate) struct OpenConnection {
    connection: Connection,
}

impl OpenConnection {
    pub(crate) async fn channel(&self) -> Result<Channel, BrokerError> {
        answered("open a channel", self.connection.create_channel()).await
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        let declared = timeout(REQUEST_TIMEOUT, topology.declare(&channel)).await;
        close_channel(&channel, "declared").await;
        declared.map_err(|_| BrokerError::Timeout)?
    }

    async fn close(&self) {
        // Without the goodbye the broker logs a client that vanished. Nothing else depends on it.
        timeout(
            Duration::from_secs(2),
            self.connection.close(200, "closing".into()),
        )
        .await
        .ok();
    }
}

/// Keeps one connection open.
pub(crate) struct ConnectionSupervisor {
    pub(crate) uri: AMQPUri,
    pub(crate) topology: Topology,
    pub(crate) topology_use: TopologyUse,
    /// The tasks that have channels of their own. They end with `cancel`, and the connection closes
    /// after them.
    pub(crate) channel_tasks: TaskTracker,
    /// The name that the broker shows in its list of connections.
    pub(crate) name: String,
    pub(crate) cancel: CancellationToken,
    /// Asks for the topology to be declared again, on the connection that is open.
    pub(crate) redeclare: Arc<Notify>,
}

impl ConnectionSupervisor {
    /// Connects, watches the connection and connects again, until cancelled. Sends every change to
    /// `state`.
    pub(crate) async fn run(self, state: watch::Sender<ConnectionState>) {
        let mut backoff = Backoff::new();
        let mut attempt_timed_out = false;
        let mut logged_error = String::new();
        while !self.cancel.is_cancelled() {
            let outcome = tokio::select! {
                () = self.cancel.cancelled() => break,
                outcome = self.open(&mut attempt_timed_out) => outcome,
            };
            match outcome {
                Ok(connection) => {
                    tracing::info!(connection = self.name, "connected to the broker");
                    logged_error.clear();
                    backoff.reset();
                    let reason = self.watch(&connection, &state).await;
                    state.send_replace(ConnectionState::Down(reason.as_str().into()));
                    if self.cancel.is_cancelled() {
                        self.channel_tasks.close();
                        timeout(CHANNELS_CLOSE_WAIT, self.channel_tasks.wait())
                            .await
                            .ok();
                        connection.close().await;
                        break;
                    }
                    tracing::warn!(connection = self.name, "lost the broker: {reason}");
                }
                Err(error) => {
                    // Logged once per kind of error. An outage of hours must not be a line every
                    // few seconds.
                    if logged_error != error {
                        tracing::warn!(
                            connection = self.name,
                            "failed to connect to the broker: {error}"
                        );
                    }
                    state.send_replace(ConnectionState::Down(error.as_str().into()));
                    logged_error = error;
                }
            }
            tokio::select! {
                () = self.cancel.cancelled() => break,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
        state.send_replace(ConnectionState::Down("closed".into()));
    }

    async fn open(&self, attempt_timed_out: &mut bool) -> Result<Arc<OpenConnection>, String> {
        // lapin's thread outlives an attempt that timed out, until the socket closes. A broker that
        // accepts and stays silent would collect one such thread per attempt. After the first one,
        // it is greeted without lapin.
        if *attempt_timed_out {
            timeout(CONNECT_TIMEOUT, greet(&self.uri))
                .await
                .map_err(|_| "no greeting in time")?
                .map_err(|e| e.to_string())?;
        }

        let properties =
            ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connecting = timeout(
            CONNECT_TIMEOUT,
            Connection::connect_uri(self.uri.clone(), properties),
        )
        .await;
        *attempt_timed_out = connecting.is_err();
        let connection = connecting
            .map_err(|_| "no connection in time")?
            .map_err(|e| e.to_string())?;

        let connection = Arc::new(OpenConnection { connection });
        if self.topology_use == TopologyUse::Declare {
            connection
                .declare(&self.topology)
                .await
                .map_err(|e| e.to_string())?;
        }
        Ok(connection)
    }

    /// Watches a connection until it is lost or the supervisor is cancelled. Returns the reason.
    async fn watch(
        &self,
        open: &Arc<OpenConnection>,
        state: &watch::Sender<ConnectionState>,
    ) -> String {
        // lapin gives each event to one listener only, and this is the only one. It exists before
        // the status is read, so that no change is missed in between.
        let events = open.connection.events_listener();
        pin_mut!(events);
        let status = open.connection.status();
        state.send_replace(if status.blocked() {
            ConnectionState::Blocked(open.clone())
        } else {
            ConnectionState::Up(open.clone())
        });
        let mut status_check = tokio::time::interval(STATUS_INTERVAL);
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return "closing".into(),
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(connection = self.name, "the broker takes no publishes: {reason}");
                        state.send_replace(ConnectionState::Blocked(open.clone()));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(connection = self.name, "the broker takes publishes again");
                        state.send_replace(ConnectionState::Up(open.clone()));
                    }
                    Some(Event::Error(error)) if !status.connected() => return error.to_string(),
                    Some(_) => {}
                    None => return "closed".into(),
                },
                _ = status_check.tick() => if !status.connected() {
                    return "connection closed".into();
                },
                () = self.redeclare.notified() => self.redeclare_topology(open).await,
            }
        }
    }

    async fn redeclare_topology(&self, open: &OpenConnection) {
        if self.topology_use == TopologyUse::Expect {
            return;
        }
        // Not at once: when a queue is deleted and back before the broker has notified its
        // consumers, RabbitMQ 3.10 leaves them with neither a cancel nor a delivery. The delay also
        // bounds how often failing publishes can ask.
        tokio::time::sleep(REDECLARE_DELAY).await;
        match open.declare(&self.topology).await {
            Ok(()) => tracing::warn!(connection = self.name, "declared the topology again"),
            Err(error) => tracing::error!(
                connection = self.name,
                "failed to declare the topology again: {error}"
            ),
        }
    }
}

/// Finds out whether the broker answers, in a way that leaves nothing behind when it is given up.
async fn greet(uri: &AMQPUri) -> std::io::Result<()> {
    let greeting: &[u8] = match uri.scheme {
        AMQPScheme::AMQP => b"AMQP\x00\x00\x09\x01",
        // A TLS alert, which every server answers by hanging up.
        AMQPScheme::AMQPS => b"\x15\x03\x01\x00\x02\x02\x50",
    };
    let mut socket = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    socket.write_all(greeting).await?;
    // An answer, the end of the stream and a reset all show that the broker is there.
    socket.read_u8().await.ok();
    Ok(())
}

/// Parses a broker's URL, and sets a heartbeat and a connection timeout where it has none.
///
/// The path `/` names the vhost with the empty name (RabbitMQ URI specification, "Vhost"). Nobody
/// means that one, and a program would try to connect to it for ever.
pub(crate) fn parse_url(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse().map_err(|why: String| {
        // The error for some URLs repeats the URL, which holds a password.
        if why.contains(url) {
            "not a URL of the form amqp://user:password@host:5672/vhost".to_owned()
        } else {
            why
        }
    })?;
    if uri.vhost.is_empty() {
        return Err(
            "its path / names the vhost with the empty name; for the default vhost write /%2f \
             in its place, or leave the path away"
                .to_owned(),
        );
    }

    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query
        .connection_timeout
        .get_or_insert(CONNECT_TIMEOUT.as_millis() as u64);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn greet_server(scheme: &str, answer: &'static [u8]) -> (std::io::Result<()>, u8) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = parse_url(&format!(
            "{scheme}://{}/%2f",
            listener.local_addr().unwrap()
        ))
        .unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let first = socket.read_u8().await.unwrap();
            socket.write_all(answer).await.unwrap();
            first
        });
        let outcome = greet(&uri).await;
        (outcome, server.await.unwrap())
    }

    #[tokio::test]
    async fn greeting_speaks_the_protocol_and_takes_any_answer() {
        let (outcome, first) = greet_server("amqp", b"\x01").await;
        assert!(outcome.is_ok() && first == b'A');
        let (outcome, first) = greet_server("amqps", b"").await;
        assert!(
            outcome.is_ok() && first == 0x15,
            "a TLS server hangs up, and that is an answer"
        );
    }

    #[tokio::test]
    async fn greeting_fails_when_nobody_listens() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let uri = parse_url(&format!("amqp://{closed}/%2f")).unwrap();
        assert!(greet(&uri).await.is_err());
    }

    #[test]
    fn vhost_with_the_empty_name_is_refused() {
        for path in ["/", "/?heartbeat=30"] {
            let why = parse_url(&format!("amqp://user:hunter2@h:5672{path}")).unwrap_err();
            assert!(
                why.contains("the vhost with the empty name") && why.contains("/%2f"),
                "{why}"
            );
            assert!(!why.contains("hunter2"), "{why}");
        }

        let vhost = |url: &str| parse_url(url).unwrap().vhost;
        assert_eq!(vhost("amqp://h"), "/");
        assert_eq!(vhost("amqp://h?heartbeat=30"), "/");
        assert_eq!(vhost("amqp://h/%2f"), "/");
        assert_eq!(vhost("amqp://h/risiti"), "risiti");
    }

    #[test]
    fn error_never_shows_the_url() {
        for url in [
            "amqp:user:hunter2@h",
            "amqp://user:hunter2@h:port",
            "amqp://user:hunter2@h?heartbeat=often",
            "amqp://user:hunter2%ff@h",
        ] {
            let why = parse_url(url).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn url_without_heartbeat_gets_ours() {
        assert_eq!(
            parse_url("amqp://localhost/%2f").unwrap().query.heartbeat,
            Some(HEARTBEAT_SECONDS)
        );
        assert_eq!(
            parse_url("amqp://localhost/%2f?heartbeat=30")
                .unwrap()
                .query
                .heartbeat,
            Some(30)
        );
    }
}
