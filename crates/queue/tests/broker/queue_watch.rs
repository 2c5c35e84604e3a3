//! Looking at queues for gauges.

use std::time::Duration;

use risiti_queue::{Broker, QueueReading, Target};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::fixture::{Fixture, LONG, WAIT_MAX, message};

/// Looks at the payments queue until a reading fits.
async fn reading(broker: &Broker, fits: impl Fn(&QueueReading) -> bool) -> QueueReading {
    let (readings, mut read) = mpsc::channel(16);
    let watching = broker.watch_queues(&[Target::Payments], |_, reading| {
        readings.try_send(reading).ok();
    });
    let wanted = async {
        loop {
            match read.recv().await.flatten() {
                Some(reading) if fits(&reading) => return reading,
                _ => {}
            }
        }
    };
    let looked = async {
        tokio::select! {
            reading = wanted => reading,
            () = watching => unreachable!("it never ends"),
        }
    };
    timeout(WAIT_MAX, looked)
        .await
        .expect("a reading that fits")
}

#[tokio::test]
async fn first_message_ages_until_somebody_takes_it() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    broker
        .publisher()
        .publish(Target::Payments, message("1"), LONG)
        .await
        .unwrap();

    let aged = reading(&broker, |reading| reading.oldest >= Duration::from_secs(4)).await;
    assert_eq!((aged.depth.waiting, aged.depth.consumers), (1, 0));

    let mut consumer = broker.consumer(Target::Payments, 10);
    let delivery = timeout(WAIT_MAX, consumer.next()).await.unwrap().unwrap();
    assert_eq!((delivery.redelivered, delivery.delivery_count), (false, 0));
    delivery.ack().await.unwrap();
    let empty = reading(&broker, |reading| reading.depth.waiting == 0).await;
    assert_eq!((empty.oldest, empty.depth.consumers), (Duration::ZERO, 1));
}
