//! Consumers: acks, prefetch, pauses, cuts and the delivery limit.

use std::collections::BTreeSet;

use futures_util::future::maybe_done;
use futures_util::poll;
use risiti_queue::{Bounds, Broker, BrokerError, BrokerState, Consumer, Delivery, Target};
use risiti_testkit::{Link, amqp_url, eventually};
use tokio::time::timeout;

use crate::fixture::{Fixture, LONG, WAIT_MAX, delete_queue, message, wait_for_depth};

async fn next(consumer: &mut Consumer) -> Delivery {
    timeout(WAIT_MAX, consumer.next())
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
async fn acked_message_is_gone_and_the_others_come_back() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..3).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    next(&mut consumer).await.ack().await.unwrap();
    let unacked = next(&mut consumer).await.message.id;
    drop((broker, consumer));

    let broker = fixture.broker().await;
    wait_for_depth(&broker, Target::Payments, 2).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let again = next(&mut consumer).await;
    assert_eq!(again.message.id, unacked);
    assert!(again.redelivered && again.delivery_count == 1, "{again:?}");
}

#[tokio::test]
async fn consumer_survives_a_cut_and_gets_unacked_messages_again() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
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
        // An ack may be lost in the cut. Then the message comes once more.
        delivery.ack().await.ok();
    }
    assert!(seen.contains(&held.message.id));
    assert!(
        held.ack().await.is_err(),
        "the channel of this delivery is gone"
    );
    wait_for_depth(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn consumer_holds_no_more_than_its_prefetch() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..10).await;
    wait_for_depth(&broker, Target::Payments, 10).await;
    let mut consumer = broker.consumer(Target::Payments, 2);
    let first = next(&mut consumer).await;
    wait_for_depth(&broker, Target::Payments, 8).await;
    first.ack().await.unwrap();
    wait_for_depth(&broker, Target::Payments, 7).await;
}

#[tokio::test]
async fn pause_gives_everything_back_and_resume_takes_it_again() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = next(&mut consumer).await;
    consumer.pause();
    wait_for_depth(&broker, Target::Payments, 4).await;
    let stale = held.ack().await;
    assert!(matches!(stale, Err(BrokerError::Stale)), "{stale:?}");

    consumer.resume();
    for _ in 0..4 {
        next(&mut consumer).await.ack().await.unwrap();
    }
    wait_for_depth(&broker, Target::Payments, 0).await;
}

/// The test's only thread runs nothing between the two calls, so the subscription sees no pause.
#[tokio::test]
async fn pause_that_ends_at_once_gives_everything_back_too() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = next(&mut consumer).await;
    consumer.pause();
    consumer.resume();
    drop(held);

    for _ in 0..4 {
        next(&mut consumer).await.ack().await.unwrap();
    }
    wait_for_depth(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn ack_all_counts_stale_deliveries() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
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
    wait_for_depth(&broker, Target::Payments, 3).await;
    assert_eq!(Delivery::ack_all(stale).await, 3);
}

/// A task may begin an ack, and then wait for another one before it polls the first again.
#[tokio::test]
async fn ack_waits_for_no_other_that_is_under_way() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let mut begun = std::pin::pin!(maybe_done(next(&mut consumer).await.ack()));
    let _is_written = poll!(begun.as_mut());
    let (second, third) = (next(&mut consumer).await, next(&mut consumer).await);
    let fourth = next(&mut consumer).await;

    timeout(WAIT_MAX, second.ack()).await.unwrap().unwrap();
    let many = Delivery::ack_all([third]);
    assert_eq!(timeout(WAIT_MAX, many).await.unwrap(), 0);
    let rejected = fourth.reject_to_requeue();
    timeout(WAIT_MAX, rejected).await.unwrap().unwrap();
    begun.as_mut().await;
    begun.take_output().unwrap().unwrap();
    let again = next(&mut consumer).await;
    assert_eq!(again.message.body.as_ref(), b"3");
}

#[tokio::test]
async fn acks_of_many_leave_what_is_held_among_them() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..8).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(next(&mut consumer).await);
    }
    let take = |held: &mut Vec<Delivery>, bodies: &[&str]| -> Vec<Delivery> {
        let wanted = |delivery: &mut Delivery| {
            let body = std::str::from_utf8(&delivery.message.body).unwrap();
            bodies.contains(&body)
        };
        held.extract_if(.., wanted).collect()
    };

    // The later batch ends first. Then one ack stands for 0 to 2, and none for the held 3.
    let later = take(&mut held, &["4", "5", "7"]);
    assert_eq!(Delivery::ack_all(later).await, 0);
    let earlier = take(&mut held, &["1", "0", "2"]);
    assert_eq!(Delivery::ack_all(earlier).await, 0);
    let rejected = take(&mut held, &["3"]).remove(0);
    rejected.reject_to_requeue().await.unwrap();
    assert_eq!(next(&mut consumer).await.message.body.as_ref(), b"3");
    // Below 6 everything is settled, and it is the only one that is acked.
    assert_eq!(Delivery::ack_all(take(&mut held, &["6"])).await, 0);

    drop((broker, consumer));
    let broker = fixture.broker().await;
    wait_for_depth(&broker, Target::Payments, 1).await;
    let left = broker.get(Target::Payments).await.unwrap().unwrap();
    assert_eq!(left.message.body.as_ref(), b"3");
}

#[tokio::test]
async fn consumer_can_take_one_message_at_a_time() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..5).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    consumer.pause();
    consumer.resume_one_by_one();
    let first = next(&mut consumer).await;
    wait_for_depth(&broker, Target::Payments, 4).await;
    first.ack().await.unwrap();
    wait_for_depth(&broker, Target::Payments, 3).await;

    consumer.resume();
    wait_for_depth(&broker, Target::Payments, 0).await;
    for _ in 0..4 {
        next(&mut consumer).await.ack().await.unwrap();
    }
    consumer.pause();
    wait_for_depth(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn cancelled_consumer_can_ack_and_the_rest_comes_back() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, 0..4).await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    let held = next(&mut consumer).await;
    wait_for_depth(&broker, Target::Payments, 0).await;
    consumer.cancel();
    assert!(consumer.next().await.is_none());
    held.ack().await.unwrap();
    drop(consumer);
    wait_for_depth(&broker, Target::Payments, 3).await;
}

#[tokio::test]
async fn closed_broker_ends_its_consumers() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    broker.close().await;
    let end = timeout(WAIT_MAX, consumer.next())
        .await
        .expect("an end in time");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn message_delivered_too_often_moves_to_suspects() {
    let fixture = Fixture::with_bounds(Bounds {
        payment_deliveries_max: 2,
        ..Bounds::default()
    });
    let broker = fixture.broker().await;
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
    let suspect = eventually("the suspect", WAIT_MAX, async || {
        broker.get(Target::Suspects).await.unwrap()
    })
    .await;
    assert_eq!(suspect.message, poison);
    wait_for_depth(&broker, Target::Payments, 0).await;
}

#[tokio::test]
async fn subscription_that_ends_without_error_is_renewed() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    let mut consumer = broker.consumer(Target::Payments, 10);
    publish(&broker, [1]).await;
    next(&mut consumer).await.ack().await.unwrap();
    delete_queue(fixture.topology().queue(Target::Payments)).await;
    // The depth would not do: a queue is declared a moment before it is bound, and takes no message
    // until then.
    let publisher = broker.publisher();
    let publishes = async || {
        publisher
            .publish(Target::Payments, message("2"), LONG)
            .await
            .ok()
    };
    eventually("the queue is back and bound", WAIT_MAX, publishes).await;
    assert_eq!(next(&mut consumer).await.message.body.as_ref(), b"2");
}

#[tokio::test]
async fn got_message_dropped_without_ack_comes_back_on_close() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    publish(&broker, [1]).await;
    let got = eventually("the message", WAIT_MAX, async || {
        broker.get(Target::Payments).await.unwrap()
    })
    .await;
    drop(got);
    assert!(broker.get(Target::Payments).await.unwrap().is_none());
    broker.close().await;
    let broker = fixture.broker().await;
    wait_for_depth(&broker, Target::Payments, 1).await;
}
