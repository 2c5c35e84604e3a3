//! Against the real broker; each test has a namespace of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that unwraps says enough by failing there"
)]

mod consume;
mod publish;
mod topology;

use bytes::Bytes;
use risiti_queue::{Bounds, Broker, Message, Target, Topology};
use risiti_testkit::{Namespace, amqp_url, eventually};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// When to give up waiting; nothing takes as long in a test that passes.
const BOUND: Duration = Duration::from_secs(60);
/// Long enough for any confirm, and never waited for.
const LONG: Duration = Duration::from_secs(30);

struct Stage {
    namespace: Namespace,
    bounds: Bounds,
}

impl Stage {
    fn new() -> Self {
        Self::with_bounds(Bounds::default())
    }

    fn with_bounds(bounds: Bounds) -> Self {
        Self {
            namespace: Namespace::unique(),
            bounds,
        }
    }

    fn topology(&self) -> Topology {
        Topology::with_bounds(self.namespace.name(), self.bounds).unwrap()
    }

    /// Connected to the broker itself.
    async fn broker(&self) -> Broker {
        self.broker_at(&amqp_url()).await
    }

    async fn broker_at(&self, url: &str) -> Broker {
        let broker = self.start(url);
        up(&broker).await;
        broker
    }

    fn start(&self, url: &str) -> Broker {
        Broker::start(url, self.topology(), "queue-test", CancellationToken::new()).unwrap()
    }
}

async fn up(broker: &Broker) {
    let waiting = tokio::time::timeout(BOUND, broker.wait_up()).await;
    assert!(waiting.is_ok(), "not connected: {:?}", broker.problem());
}

fn message(body: &str) -> Message {
    let headers = BTreeMap::from([("risiti-kind".to_owned(), "stk".to_owned())]);
    Message {
        id: Uuid::now_v7(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// The broker counts a queue's messages a moment after it confirms them.
async fn depth_becomes(broker: &Broker, target: Target, wanted: u64) {
    eventually(
        &format!("{wanted} messages in {target:?}"),
        BOUND,
        async || (broker.depth(target).await.ok()? == wanted).then_some(()),
    )
    .await;
}

/// Somebody deletes a queue behind our back.
async fn delete_queue(queue: &str) {
    let connection =
        lapin::Connection::connect(&amqp_url(), lapin::ConnectionProperties::default())
            .await
            .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default())
        .await
        .unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
