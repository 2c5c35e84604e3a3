//! Publishing: what success and failure mean, and the bounds.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use risiti_queue::{Bounds, BrokerState, PUBLISHES_MAX, PublishError, Target};
use risiti_testkit::{Link, amqp_url, eventually, free_port};
use tokio::task::JoinHandle;

use crate::fixture::{Fixture, LONG, WAIT_MAX, delete_queue, message, wait_for_depth, wait_up};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn confirmed_message_is_whole_in_the_queue_of_its_target() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    for target in [
        Target::Payments,
        Target::Suspects,
        Target::Lanes,
        Target::Dead,
    ] {
        let sent = message("{\"TransAmount\": 1500.10}");
        broker
            .publisher()
            .publish(target, sent.clone(), LONG)
            .await
            .unwrap();
        let got = eventually("the message", WAIT_MAX, async || {
            broker.get(target).await.unwrap()
        })
        .await;
        assert_eq!(got.message, sent);
        assert!(!got.redelivered && got.delivery_count == 0);
        got.ack().await.unwrap();
        wait_for_depth(&broker, target, 0).await;
    }
}

#[tokio::test]
async fn returned_message_fails_and_the_topology_is_declared_again() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    delete_queue(fixture.topology().queue(Target::Payments)).await;
    let publisher = broker.publisher();
    let outcome = publisher
        .publish(Target::Payments, message("lost"), LONG)
        .await;
    assert!(
        matches!(outcome, Err(PublishError::Returned("payments"))),
        "{outcome:?}"
    );
    eventually("the queue is back", WAIT_MAX, async || {
        publisher
            .publish(Target::Payments, message("kept"), LONG)
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn success_means_stored_even_while_others_are_returned() {
    let fixture = Fixture::new();
    let broker = fixture.broker().await;
    delete_queue(fixture.topology().queue(Target::Suspects)).await;
    let publisher = broker.publisher();
    let publishes = (0..400).map(|n| {
        let target = if n % 2 == 0 {
            Target::Payments
        } else {
            Target::Suspects
        };
        let publisher = publisher.clone();
        async move { (target, publisher.publish(target, message("m"), LONG).await) }
    });
    let outcomes = join_all(publishes).await;
    let stored = |of| {
        outcomes
            .iter()
            .filter(|(target, outcome)| *target == of && outcome.is_ok())
            .count() as u64
    };
    assert_eq!(stored(Target::Payments), 200);
    assert!(
        stored(Target::Suspects) < 200,
        "nothing was returned: {outcomes:?}"
    );
    wait_for_depth(&broker, Target::Payments, 200).await;
    eventually("the queue is back", WAIT_MAX, async || {
        broker.depth(Target::Suspects).await.ok()
    })
    .await;
    wait_for_depth(&broker, Target::Suspects, stored(Target::Suspects)).await;
}

#[tokio::test]
async fn publish_fails_at_once_while_disconnected() {
    let fixture = Fixture::new();
    let broker = fixture.start(&format!("amqp://127.0.0.1:{}/%2f", free_port()));
    let publisher = broker.publisher();
    let outcome = publisher
        .publish(Target::Payments, message("m"), LONG)
        .now_or_never();
    assert!(
        matches!(outcome, Some(Err(PublishError::Down))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn cut_is_noticed_at_once_and_the_broker_reconnects() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let publisher = broker.publisher();
    publisher
        .publish(Target::Payments, message("before"), LONG)
        .await
        .unwrap();

    link.cut();
    let mut state = broker.state();
    state
        .wait_for(|state| *state == BrokerState::Down)
        .await
        .unwrap();
    let outcome = publisher
        .publish(Target::Payments, message("during"), LONG)
        .now_or_never();
    assert!(
        matches!(outcome, Some(Err(PublishError::Down))),
        "{outcome:?}"
    );

    link.restore();
    wait_up(&broker).await;
    publisher
        .publish(Target::Payments, message("after"), LONG)
        .await
        .unwrap();
    wait_for_depth(&broker, Target::Payments, 2).await;
}

#[tokio::test]
async fn publish_under_way_fails_when_the_connection_does() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let publisher = broker.publisher();
    publisher
        .publish(Target::Payments, message("opens the channel"), LONG)
        .await
        .unwrap();
    link.lose_answers();
    let pending = tokio::spawn(async move {
        publisher
            .publish(Target::Payments, message("m"), LONG)
            .await
    });
    let direct = fixture.broker().await;
    wait_for_depth(&direct, Target::Payments, 2).await;
    link.cut();
    let outcome = pending.await.unwrap();
    // It was stored: a failure never says that it was not.
    assert!(
        matches!(outcome, Err(PublishError::Broker(_) | PublishError::Lost)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn publish_never_waits_longer_than_its_timeout() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let publisher = broker.publisher();
    link.freeze();
    let outcome = publisher
        .publish(Target::Payments, message("m"), SHORT)
        .await;
    assert!(matches!(outcome, Err(PublishError::Timeout)), "{outcome:?}");
    link.restore();
    eventually("publishing again", WAIT_MAX, async || {
        publisher
            .publish(Target::Payments, message("m"), LONG)
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn publishes_under_way_are_bounded_after_callers_give_up() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let publisher = broker.publisher();
    let opens_each_channel =
        (0..1_000).map(|_| publisher.publish(Target::Payments, message("m"), LONG));
    for outcome in join_all(opens_each_channel).await {
        outcome.unwrap();
    }
    link.freeze();
    // Each round fills what the tasks have taken from their queues meanwhile.
    eventually("the bound", WAIT_MAX, async || {
        let filling =
            (0..PUBLISHES_MAX).map(|_| publisher.publish(Target::Payments, message("m"), SHORT));
        let outcomes = join_all(filling).await;
        let refused = |outcome: &Result<(), PublishError>| {
            matches!(outcome, Err(PublishError::Timeout | PublishError::TooBusy))
        };
        assert!(outcomes.iter().all(refused), "{outcomes:?}");
        (publisher.load().in_flight == PUBLISHES_MAX).then_some(())
    })
    .await;
    let outcome = publisher
        .publish(Target::Payments, message("m"), SHORT)
        .await;
    assert!(matches!(outcome, Err(PublishError::TooBusy)), "{outcome:?}");
    link.restore();
    eventually("publishing again", WAIT_MAX, async || {
        publisher
            .publish(Target::Payments, message("m"), LONG)
            .await
            .ok()
    })
    .await;
}

#[tokio::test]
async fn waiting_publishes_are_bounded() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let publisher = broker.publisher();
    link.freeze();
    let waiting: Vec<_> = (0..PUBLISHES_MAX)
        .map(|_| {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                publisher
                    .publish(Target::Payments, message("m"), LONG)
                    .await
            })
        })
        .collect();
    eventually("a refusal at once", WAIT_MAX, async || {
        let outcome = publisher
            .publish(Target::Payments, message("m"), LONG)
            .now_or_never();
        matches!(outcome, Some(Err(PublishError::TooBusy))).then_some(())
    })
    .await;
    waiting.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn full_queue_refuses() {
    let fixture = Fixture::with_bounds(Bounds {
        kept_max: 3,
        ..Bounds::default()
    });
    let broker = fixture.broker().await;
    let publisher = broker.publisher();
    for target in [Target::Payments, Target::Suspects, Target::Dead] {
        let mut stored = 0;
        // A quorum queue notices that it is full a few messages late.
        let refused = loop {
            match publisher.publish(target, message("m"), LONG).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 1_000, "the bound of {target:?} is never reached");
        };
        assert!(
            matches!(refused, PublishError::Nack),
            "{target:?}: {refused:?}"
        );
        wait_for_depth(&broker, target, stored).await;
    }
}

#[tokio::test]
async fn full_lanes_queue_drops_its_oldest_wake_up() {
    let fixture = Fixture::with_bounds(Bounds {
        lanes_max: 3,
        ..Bounds::default()
    });
    let broker = fixture.broker().await;
    let publisher = broker.publisher();
    for n in 0..10 {
        publisher
            .publish(Target::Lanes, message(&n.to_string()), LONG)
            .await
            .unwrap();
    }
    wait_for_depth(&broker, Target::Lanes, 3).await;
    let oldest = broker.get(Target::Lanes).await.unwrap().unwrap();
    assert_eq!(oldest.message.body.as_ref(), b"7");
}
