use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use uuid::Uuid;

use crate::servers::{amqp_url, clean_up};

/// What Risiti makes in a namespace, by suffix. Kept here by hand: this crate may not look into others, and
/// a name that is missing only leaves an empty queue behind.
const QUEUES: [&str; 4] = [".payments", ".suspects", ".lanes", ".dead"];
const EXCHANGES: [&str; 2] = ["", ".dead-letters"];

/// A prefix of exchanges and queues that no other test uses; they are deleted with this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn unique() -> Namespace {
        Namespace { name: format!("test-{}", Uuid::now_v7().simple()) }
    }

    /// What a program takes as `RISITI_NAMESPACE`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let name = self.name.clone();
        clean_up(async move {
            let _ = delete(&name).await;
        });
    }
}

async fn delete(name: &str) -> lapin::Result<()> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    // The broker answers "gone" also for what was never there.
    for queue in QUEUES {
        channel.queue_delete(format!("{name}{queue}").into(), QueueDeleteOptions::default()).await?;
    }
    for exchange in EXCHANGES {
        channel.exchange_delete(format!("{name}{exchange}").into(), ExchangeDeleteOptions::default()).await?;
    }
    connection.close(200, "done".into()).await
}

#[cfg(test)]
mod tests {
    use lapin::options::QueueDeclareOptions;
    use lapin::types::FieldTable;

    use super::*;

    async fn declare(queue: &str, passive: bool) -> lapin::Result<lapin::Queue> {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.into(), options, FieldTable::default()).await
    }

    #[tokio::test]
    async fn its_queues_go_with_it() {
        let namespace = Namespace::unique();
        let queue = format!("{}.payments", namespace.name());
        declare(&queue, false).await.unwrap();
        declare(&queue, true).await.expect("the queue was just declared");
        drop(namespace);
        declare(&queue, true).await.expect_err("the queue should be gone");
    }
}
