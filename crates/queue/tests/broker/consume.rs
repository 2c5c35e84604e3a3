use crate::{BOUND, LONG, Stage, delete_queue, depth_becomes, message};
use risiti_queue::{Bounds, Broker, BrokerError, BrokerState, Consumer, Delivery, Target};
use risiti_testkit::{Link, amqp_url, eventually};
use std::collections::BTreeSet;
use tokio::time::timeout;

async fn next(consumer: &mut Consumer) -> Delivery {
    timeout(BOUND, consumer.next())
        .await
        .expect("a delivery in time")
        .expect("the consumer goes on")
}

async fn publish(broker: &Broker, bodies: impl IntoIterator<Item = u32>) {
    for body in bodies {
        broker
            .publisher()
            .publish(Target::Payments, message(&body.to_string()), LONG)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn acked_messages_are_gone_and_the_others_come_back() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, 0..3).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    next(&mut consumer).await.ack().await.unwrap();
    let unacked = next(&mut consumer).await.message.id;
    drop((broker, consumer));

    let broker = stage.broker().await;
    depth_becomes(&broker, Target::Payments, 2).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let again = next(&mut consumer).await;
    assert_eq!(again.message.id, unacked);
    assert!(again.redelivered && again.delivery_count == 1, "{again:?}");
}

#[tokio::test]
async fn a_consumer_survives_a_cut_and_what_was_not_acked_is_delivered_again() {
    let stage = Stage::new();
    let link = Link::to(&amqp_url()).await;
    let broker = stage.broker_at(link.url()).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    publish(&broker, 0..5).await;
    let held = next(&mut consumer).await;
    link.cut();
    let mut state = broker.state();
    state
        .wait_for(|state| *state == BrokerState::Down)
        .await
        .unwrap();
    link.restore();

    let mut seen = BTreeSet::new();
    while seen.len() < 5 {
        let delivery = next(&mut consumer).await;
        seen.insert(delivery.message.id);
        // An ack may meet the cut; then the message comes once more.
        delivery.ack().await.ok();
    }
    assert!(seen.contains(&held.message.id));
    assert!(
        held.ack().await.is_err(),
        "the channel of this delivery is gone"
    );
    depth_becomes(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn no_more_than_the_prefetch_is_on_loan() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, 0..10).await;
    depth_becomes(&broker, Target::Payments, 10).await;
    let mut consumer = broker.consumer(Target::Payments, 2);
    let first = next(&mut consumer).await;
    depth_becomes(&broker, Target::Payments, 8).await;
    first.ack().await.unwrap();
    depth_becomes(&broker, Target::Payments, 7).await;
}

#[tokio::test]
async fn a_pause_gives_everything_back_and_an_end_of_it_takes_again() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = next(&mut consumer).await;
    consumer.pause();
    depth_becomes(&broker, Target::Payments, 4).await;
    let stale = held.ack().await;
    assert!(matches!(stale, Err(BrokerError::Stale)), "{stale:?}");

    consumer.resume();
    for _ in 0..4 {
        next(&mut consumer).await.ack().await.unwrap();
    }
    depth_becomes(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn many_are_acked_at_once_and_the_stale_ones_counted() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, 0..5).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = vec![next(&mut consumer).await, next(&mut consumer).await];
    assert_eq!(Delivery::ack_all(held).await, 0);
    let stale = vec![
        next(&mut consumer).await,
        next(&mut consumer).await,
        next(&mut consumer).await,
    ];
    consumer.pause();
    depth_becomes(&broker, Target::Payments, 3).await;
    assert_eq!(Delivery::ack_all(stale).await, 3);
}

#[tokio::test]
async fn after_a_cancel_what_is_held_can_be_acked_and_the_rest_comes_back() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = next(&mut consumer).await;
    depth_becomes(&broker, Target::Payments, 0).await;
    consumer.cancel();
    assert!(consumer.next().await.is_none());
    held.ack().await.unwrap();
    drop(consumer);
    depth_becomes(&broker, Target::Payments, 3).await;
}

#[tokio::test]
async fn a_closed_broker_ends_its_consumers() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    broker.close().await;
    let end = timeout(BOUND, consumer.next())
        .await
        .expect("an end in time");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_message_delivered_too_often_moves_to_suspects() {
    let stage = Stage::with_bounds(Bounds {
        payment_deliveries_max: 2,
        ..Bounds::default()
    });
    let broker = stage.broker().await;
    let poison = message("kills its worker");
    broker
        .publisher()
        .publish(Target::Payments, poison.clone(), LONG)
        .await
        .unwrap();
    let mut consumer = broker.consumer(Target::Payments, 1);
    for count in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(
            (&delivery.message, delivery.delivery_count),
            (&poison, count)
        );
        delivery.reject_to_requeue().await.unwrap();
    }
    let suspect = eventually("the suspect", BOUND, async || {
        broker.get(Target::Suspects).await.unwrap()
    })
    .await;
    assert_eq!(suspect.message, poison);
    depth_becomes(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn a_subscription_that_ends_quietly_is_renewed() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    publish(&broker, [1]).await;
    next(&mut consumer).await.ack().await.unwrap();
    delete_queue(stage.topology().queue(Target::Payments)).await;
    // Not `depth`: a queue is declared a moment before it is bound, and takes no message until then.
    let publisher = broker.publisher();
    let taken = async || {
        publisher
            .publish(Target::Payments, message("2"), LONG)
            .await
            .ok()
    };
    eventually("the queue is back and bound", BOUND, taken).await;
    assert_eq!(next(&mut consumer).await.message.body.as_ref(), b"2");
}

#[tokio::test]
async fn a_message_that_was_got_and_dropped_comes_back_with_the_connection() {
    let stage = Stage::new();
    let broker = stage.broker().await;
    publish(&broker, [1]).await;
    let got = eventually("the message", BOUND, async || {
        broker.get(Target::Payments).await.unwrap()
    })
    .await;
    drop(got);
    assert!(broker.get(Target::Payments).await.unwrap().is_none());
    broker.close().await;
    let broker = stage.broker().await;
    depth_becomes(&broker, Target::Payments, 1).await;
}
