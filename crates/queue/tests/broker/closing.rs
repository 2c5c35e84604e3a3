//! Closing a broker, and what lapin logs meanwhile.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use risiti_queue::{Broker, Target};
use risiti_testkit::{amqp_url, eventually};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::fixture::{Fixture, LONG, WAIT_MAX, message};

/// Keeps what is logged as an error.
#[derive(Clone, Default)]
struct LoggedErrors(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for LoggedErrors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Commands are as short as this: connect, publish or take one message, close.
#[tokio::test]
async fn broker_that_is_closed_at_once_logs_no_error() {
    let errors = LoggedErrors::default();
    tracing::subscriber::set_global_default(errors.clone()).unwrap();
    let fixture = Fixture::new();
    let first = fixture.broker().await;
    for round in 0..60 {
        let name = fixture.namespace.name();
        let broker = Broker::connect(&amqp_url(), name, "queue-test").unwrap();
        broker.wait_up().await;
        let publisher = broker.publisher();
        if round % 3 > 0 {
            publisher
                .publish(Target::Payments, message("1"), LONG)
                .await
                .unwrap();
        }
        if round % 3 == 1 {
            let got = eventually("the message", WAIT_MAX, async || {
                broker.get(Target::Payments).await.unwrap()
            });
            got.await.ack().await.unwrap();
        }
        if round % 3 == 2 {
            let mut consumer = broker.consumer(Target::Payments, 10);
            let delivery = consumer.next().await.unwrap();
            consumer.cancel();
            delivery.ack().await.unwrap();
        }
        broker.close().await;
    }
    first.close().await;
    let logged = errors.0.lock().unwrap();
    assert!(logged.is_empty(), "{logged:#?}");
}
