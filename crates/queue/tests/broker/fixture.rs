//! A namespace of its own for each test, and waits with a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use risiti_queue::{Bounds, Broker, Message, Target, Topology};
use risiti_testkit::{Namespace, amqp_url, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The longest wait for anything. Nothing takes as long in a test that passes.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// Long enough for any confirm. No passing test waits this long.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) namespace: Namespace,
    bounds: Bounds,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_bounds(Bounds::default())
    }

    pub(crate) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            namespace: Namespace::unique(),
            bounds,
        }
    }

    pub(crate) fn topology(&self) -> Topology {
        Topology::with_bounds(self.namespace.name(), self.bounds).unwrap()
    }

    /// Connects to the broker itself.
    pub(crate) async fn broker(&self) -> Broker {
        self.broker_at(&amqp_url()).await
    }

    pub(crate) async fn broker_at(&self, url: &str) -> Broker {
        let broker = self.start(url);
        wait_up(&broker).await;
        broker
    }

    /// Starts to connect, and does not wait for the connection.
    pub(crate) fn start(&self, url: &str) -> Broker {
        Broker::start(url, self.topology(), "queue-test", CancellationToken::new()).unwrap()
    }
}

pub(crate) async fn wait_up(broker: &Broker) {
    let waiting = tokio::time::timeout(WAIT_MAX, broker.wait_up()).await;
    assert!(waiting.is_ok(), "not connected: {:?}", broker.problem());
}

pub(crate) fn message(body: &str) -> Message {
    let headers = BTreeMap::from([("risiti-kind".to_owned(), "stk".to_owned())]);
    Message {
        id: Uuid::now_v7(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// Waits, because the broker counts a queue's messages a moment after it confirms them.
pub(crate) async fn wait_for_depth(broker: &Broker, target: Target, wanted: u64) {
    eventually(
        &format!("{wanted} messages in {target:?}"),
        WAIT_MAX,
        async || (broker.depth(target).await.ok()? == wanted).then_some(()),
    )
    .await;
}

/// Deletes a queue behind the program's back.
pub(crate) async fn delete_queue(queue: &str) {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
