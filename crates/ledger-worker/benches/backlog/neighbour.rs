//! How long a merchant waits behind another one's messages.

use std::time::Instant;

use risiti_domain::MerchantId;
use risiti_queue::{Broker, Message};
use risiti_testkit::{Namespace, Program, TestDatabase, amqp_url, eventually};
use uuid::Uuid;

use crate::{DRAIN_MAX, number, prepare, publish_all, stk};

/// What the other merchant's address gets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Payments,
    Unreadable,
}

/// Seconds from the start of a worker until a payment is booked that came after so many messages of
/// another merchant.
pub(crate) async fn waits(others: Others, messages: u32) -> f64 {
    let database = TestDatabase::create().await;
    let (client, noisy) = prepare(&database, false).await;
    let quiet = Uuid::now_v7();
    client
        .batch_execute(&format!(
            "INSERT INTO merchants (id, slug, name) VALUES ('{quiet}', 'quiet', 'Quiet')"
        ))
        .await
        .unwrap();
    let namespace = Namespace::unique();
    let broker = Broker::connect(&amqp_url(), namespace.name(), "bench").unwrap();
    broker.wait_up().await;
    publish_all(&broker, messages, |n| match others {
        Others::Payments => stk(noisy, n),
        Others::Unreadable => unreadable(noisy, n),
    })
    .await;
    publish_all(&broker, 1, |n| stk(MerchantId::from_uuid(quiet), n)).await;

    let begun = Instant::now();
    let _worker = Program::built("risiti-ledger-worker")
        .env("DATABASE_URL", database.url())
        .env("AMQP_URL", amqp_url())
        .env("RISITI_NAMESPACE", namespace.name())
        .start();
    let booked = format!("SELECT count(*) FROM payments WHERE merchant_id = '{quiet}'");
    eventually("the payment is booked", DRAIN_MAX, async || {
        (number(&client, &booked).await == 1.0).then_some(())
    })
    .await;
    begun.elapsed().as_secs_f64()
}

/// A body that breaks off, and is no other one's.
fn unreadable(merchant: MerchantId, n: u32) -> Message {
    let message = stk(merchant, n);
    let cut_off = message.body.len() - 10;
    Message {
        body: message.body.slice(..cut_off),
        ..message
    }
}
