use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, DecimalValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use uuid::Uuid;

use crate::servers::{amqp_url, clean_up};

/// What Risiti declares in a namespace, by suffix. The list is kept by hand, since this crate may
/// not use others. A missing name only leaves an empty queue behind.
const QUEUES: [&str; 4] = [".payments", ".suspects", ".lanes", ".dead"];
const EXCHANGES: [&str; 2] = ["", ".dead-letters"];

/// A prefix of exchanges and queues that no other test uses. They are deleted with this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    pub fn unique() -> Namespace {
        Namespace {
            name: format!("test-{}", Uuid::now_v7().simple()),
        }
    }

    /// Returns what a program takes as `RISITI_NAMESPACE`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes a queue such as `payments` or `lanes`, as an operator at the broker's console might.
    ///
    /// # Panics
    /// Panics when the broker refuses.
    pub async fn delete_queue(&self, suffix: &str) {
        let queue = format!("{}.{suffix}", self.name);
        delete_queues(&[queue]).await.expect("deleting a queue");
    }

    /// Makes the broker return every dead letter. The exchange is replaced by one of another kind,
    /// which the programs cannot declare again, and no queue is bound to it.
    ///
    /// # Panics
    /// Panics when the broker refuses.
    pub async fn refuse_dead_letters(&self) {
        replace_exchange(&format!("{}.dead-letters", self.name))
            .await
            .expect("replacing an exchange");
    }

    /// Ends [`refuse_dead_letters`](Self::refuse_dead_letters).
    ///
    /// # Panics
    /// Panics when the broker refuses.
    pub async fn take_dead_letters(&self) {
        let queue = format!("{}.dead", self.name);
        bind(&queue, &format!("{}.dead-letters", self.name))
            .await
            .expect("binding a queue");
    }

    /// Publishes a message that no program of ours would write. It has no id, and headers of every
    /// AMQP type, among them a text of `header_bytes` bytes.
    ///
    /// # Panics
    /// Panics when the broker does not confirm it.
    pub async fn publish_strange(&self, suffix: &str, body: &[u8], header_bytes: usize) {
        let queue = format!("{}.{suffix}", self.name);
        publish_strange(&queue, body, header_bytes)
            .await
            .expect("publishing to a queue");
    }
}

/// Counts the messages that wait in a queue of any broker, without those that a consumer holds.
/// Returns `None` when there is no such queue or no broker.
pub async fn messages_in(amqp_url: &str, queue: &str) -> Option<u32> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default())
        .await
        .ok()?;
    let channel = connection.create_channel().await.ok()?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let found = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await
        .ok()?;
    let _ = connection.close(200, "done".into()).await;
    Some(found.message_count())
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let name = self.name.clone();
        clean_up(async move {
            let _ = delete(&name).await;
        });
    }
}

async fn delete_queues(queues: &[String]) -> lapin::Result<()> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for queue in queues {
        channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
    }
    connection.close(200, "done".into()).await
}

async fn replace_exchange(exchange: &str) -> lapin::Result<()> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
        .await?;
    channel
        .exchange_declare(
            exchange.into(),
            ExchangeKind::Fanout,
            ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            },
            FieldTable::default(),
        )
        .await?;
    connection.close(200, "done".into()).await
}

async fn bind(queue: &str, exchange: &str) -> lapin::Result<()> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    connection.close(200, "done".into()).await
}

async fn publish_strange(queue: &str, body: &[u8], header_bytes: usize) -> lapin::Result<()> {
    let mut inner = FieldTable::default();
    inner.insert("deep".into(), AMQPValue::Void);
    let mut headers = FieldTable::default();
    for (name, value) in [
        ("risiti-event-id", AMQPValue::LongLongInt(-1)),
        ("risiti-merchant-id", AMQPValue::Boolean(true)),
        ("risiti-envelope", AMQPValue::FieldTable(inner)),
        ("risiti-format", AMQPValue::ByteArray(vec![0xff, 0].into())),
        ("risiti-received-at", AMQPValue::Timestamp(0)),
        (
            "risiti-paystack-live",
            AMQPValue::DecimalValue(DecimalValue {
                scale: 255,
                value: u32::MAX,
            }),
        ),
        ("risiti-kind", AMQPValue::Double(1.5)),
        ("a\0name", AMQPValue::LongString(vec![0, 0xff, 0xfe].into())),
        ("", AMQPValue::LongString("\0".into())),
        (
            "text",
            AMQPValue::LongString("t".repeat(header_bytes).into()),
        ),
    ] {
        headers.insert(name.into(), value);
    }
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_message_id("no id".into())
        .with_content_type("\0".into());
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), queue.into(), options, body, properties)
        .await?
        .await?;
    connection.close(200, "done".into()).await
}

async fn delete(name: &str) -> lapin::Result<()> {
    // Deleting what never existed succeeds too.
    delete_queues(&QUEUES.map(|queue| format!("{name}{queue}"))).await?;
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    for exchange in EXCHANGES {
        channel
            .exchange_delete(
                format!("{name}{exchange}").into(),
                ExchangeDeleteOptions::default(),
            )
            .await?;
    }
    connection.close(200, "done".into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn declare(queue: &str, passive: bool) -> lapin::Result<lapin::Queue> {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions {
            passive,
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
    }

    #[tokio::test]
    async fn queues_are_deleted_with_their_namespace() {
        let namespace = Namespace::unique();
        let queue = format!("{}.payments", namespace.name());
        declare(&queue, false).await.unwrap();
        declare(&queue, true)
            .await
            .expect("the queue was just declared");
        drop(namespace);
        declare(&queue, true)
            .await
            .expect_err("the queue should be gone");
    }
    #[tokio::test]
    async fn counting_messages_takes_none() {
        let namespace = Namespace::unique();
        let queue = format!("{}.payments", namespace.name());
        assert_eq!(messages_in(&amqp_url(), &queue).await, None);
        declare(&queue, false).await.unwrap();
        assert_eq!(messages_in(&amqp_url(), &queue).await, Some(0));

        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(Default::default()).await.unwrap();
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(
            "".into(),
            queue.as_str().into(),
            options,
            b"x",
            BasicProperties::default(),
        );
        sent.await.unwrap().await.unwrap();
        for _ in 0..2 {
            assert_eq!(messages_in(&amqp_url(), &queue).await, Some(1));
        }
    }
}
