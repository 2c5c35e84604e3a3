//! One connection, made anew for as long as the program lives.

use crate::{BrokerError, pause::Pause, topology::Topology};
use futures_util::{StreamExt as _, pin_mut};
use lapin::{Channel, Connection, ConnectionProperties, Event, uri::AMQPScheme, uri::AMQPUri};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// From being asked to declare the topology again to doing so.
const REDECLARE_AFTER: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The least that RabbitMQ's guide to heartbeats calls safe: a frozen broker is noticed after two of them.
const HEARTBEAT_SECONDS: u16 = 5;
/// lapin tells of a lost connection by an event; this finds the ones it forgets to tell.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where a connection stands.
#[derive(Clone)]
pub(crate) enum Phase {
    /// Nobody has needed it yet.
    Idle,
    /// Not connected, and why.
    Down(Arc<str>),
    Up(Arc<Live>),
    /// Connected, and the broker reads no publishes from it.
    Blocked(Arc<Live>),
}

/// A connection whose topology is declared.
pub(crate) struct Live {
    connection: Connection,
}

impl Live {
    pub(crate) async fn channel(&self) -> Result<Channel, BrokerError> {
        let opening = timeout(REQUEST_TIMEOUT, self.connection.create_channel());
        let opened = opening.await.map_err(|_| BrokerError::Timeout)?;
        opened.map_err(|e| BrokerError::Request {
            what: "open a channel",
            source: e.into(),
        })
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        let declared = timeout(REQUEST_TIMEOUT, topology.declare(&channel)).await;
        declared.map_err(|_| BrokerError::Timeout)?
    }
}

/// Supervises one connection.
pub(crate) struct Link {
    pub(crate) uri: AMQPUri,
    pub(crate) topology: Topology,
    /// Shown among the broker's connections.
    pub(crate) name: String,
    pub(crate) cancel: CancellationToken,
    /// Asks for the topology to be declared again, on the connection there is.
    pub(crate) redeclare: Arc<Notify>,
}

impl Link {
    /// Connects, watches, connects again, until cancelled. Publishes every change to `phase`.
    pub(crate) async fn run(self, phase: watch::Sender<Phase>) {
        let mut pause = Pause::new();
        let mut lingering = false;
        let mut told = String::new();
        while !self.cancel.is_cancelled() {
            let outcome = tokio::select! {
                () = self.cancel.cancelled() => break,
                outcome = self.open(&mut lingering) => outcome,
            };
            match outcome {
                Ok(live) => {
                    tracing::info!(connection = self.name, "connected to the broker");
                    told.clear();
                    pause.reset();
                    let why = self.watch(&live, &phase).await;
                    phase.send_replace(Phase::Down(why.as_str().into()));
                    if self.cancel.is_cancelled() {
                        close(&live).await;
                        break;
                    }
                    tracing::warn!(connection = self.name, "lost the broker: {why}");
                }
                Err(error) => {
                    // Once per kind of trouble: an outage of hours must not be a line every few seconds.
                    if told != error {
                        tracing::warn!(
                            connection = self.name,
                            "failed to connect to the broker: {error}"
                        );
                    }
                    phase.send_replace(Phase::Down(error.as_str().into()));
                    told = error;
                }
            }
            tokio::select! {
                () = self.cancel.cancelled() => break,
                () = tokio::time::sleep(pause.next()) => {}
            }
        }
        phase.send_replace(Phase::Down("closed".into()));
    }

    async fn open(&self, lingering: &mut bool) -> Result<Arc<Live>, String> {
        // lapin's thread outlives an attempt that is given up, until the socket closes. A broker that accepts and stays silent would
        // collect one such thread per attempt: after the first, speak to it without lapin first.
        if *lingering {
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
        *lingering = connecting.is_err();
        let connection = connecting
            .map_err(|_| "no connection in time")?
            .map_err(|e| e.to_string())?;
        let live = Arc::new(Live { connection });
        live.declare(&self.topology)
            .await
            .map_err(|e| e.to_string())?;
        Ok(live)
    }

    /// Until the connection is lost or the link cancelled; says why.
    async fn watch(&self, live: &Arc<Live>, phase: &watch::Sender<Phase>) -> String {
        // The only listener: lapin gives each event to one of them. Made before the look at the status, so that nothing falls between.
        let events = live.connection.events_listener();
        pin_mut!(events);
        let status = live.connection.status();
        phase.send_replace(if status.blocked() {
            Phase::Blocked(live.clone())
        } else {
            Phase::Up(live.clone())
        });
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return "closing".into(),
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => {
                        tracing::warn!(connection = self.name, "the broker takes no publishes: {reason}");
                        phase.send_replace(Phase::Blocked(live.clone()));
                    }
                    Some(Event::ConnectionUnblocked) => {
                        tracing::info!(connection = self.name, "the broker takes publishes again");
                        phase.send_replace(Phase::Up(live.clone()));
                    }
                    Some(Event::Error(error)) if !status.connected() => return error.to_string(),
                    Some(_) => {}
                    None => return "closed".into(),
                },
                _ = look.tick() => if !status.connected() {
                    return "connection closed".into();
                },
                () = self.redeclare.notified() => {
                    // Not at once: where a queue is deleted and back before the broker has told its consumers, RabbitMQ 3.10
                    // leaves them with neither a cancel nor a delivery. It also bounds how often failing publishes ask.
                    tokio::time::sleep(REDECLARE_AFTER).await;
                    match live.declare(&self.topology).await {
                        Ok(()) => tracing::warn!(connection = self.name, "declared the topology again"),
                        Err(error) => tracing::error!(connection = self.name, "failed to declare the topology again: {error}"),
                    }
                }
            }
        }
    }
}

async fn close(live: &Live) {
    // Without the goodbye the broker logs a client that vanished; nothing else depends on it.
    timeout(
        Duration::from_secs(2),
        live.connection.close(200, "closing".into()),
    )
    .await
    .ok();
}

/// Finds out whether anybody answers, in a way that leaves nothing behind when given up.
async fn greet(uri: &AMQPUri) -> std::io::Result<()> {
    let greeting: &[u8] = match uri.scheme {
        AMQPScheme::AMQP => b"AMQP\x00\x00\x09\x01",
        // A TLS alert, which every server answers by hanging up.
        AMQPScheme::AMQPS => b"\x15\x03\x01\x00\x02\x02\x50",
    };
    let mut socket = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    socket.write_all(greeting).await?;
    // The answer, the end of the stream and a reset all show that somebody is there.
    socket.read_u8().await.ok();
    Ok(())
}

/// Reads a broker's URL and sets what we do not leave to it.
pub(crate) fn parse(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse()?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query
        .connection_timeout
        .get_or_insert(CONNECT_TIMEOUT.as_millis() as u64);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn greeted(scheme: &str, answer: &'static [u8]) -> (std::io::Result<()>, u8) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = parse(&format!(
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
    async fn a_greeting_speaks_the_protocol_and_takes_any_answer() {
        let (outcome, first) = greeted("amqp", b"\x01").await;
        assert!(outcome.is_ok() && first == b'A');
        let (outcome, first) = greeted("amqps", b"").await;
        assert!(
            outcome.is_ok() && first == 0x15,
            "a TLS server hangs up, and that is an answer"
        );
    }

    #[tokio::test]
    async fn a_greeting_needs_somebody_to_answer() {
        let closed = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let uri = parse(&format!("amqp://{closed}/%2f")).unwrap();
        assert!(greet(&uri).await.is_err());
    }

    #[test]
    fn heartbeats_are_asked_for_unless_the_url_says_otherwise() {
        assert_eq!(
            parse("amqp://localhost/%2f").unwrap().query.heartbeat,
            Some(HEARTBEAT_SECONDS)
        );
        assert_eq!(
            parse("amqp://localhost/%2f?heartbeat=30")
                .unwrap()
                .query
                .heartbeat,
            Some(30)
        );
    }
}
