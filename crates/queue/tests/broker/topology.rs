//! Declaring the topology, and following the two connections.

use risiti_queue::{Bounds, Broker, BrokerError, BrokerState, StartError, Target, Topology};
use risiti_testkit::{Link, amqp_url, eventually};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, LONG, WAIT_MAX, message, wait_up};

#[tokio::test]
async fn declaring_again_changes_nothing() {
    let fixture = Fixture::new();
    let first = fixture.broker().await;
    let second = fixture.broker().await;
    for target in [
        Target::Payments,
        Target::Suspects,
        Target::Lanes,
        Target::Dead,
    ] {
        assert_eq!(
            first.depth(target).await.unwrap() + second.depth(target).await.unwrap(),
            0
        );
    }
}

/// A person's command in a misspelled namespace must not make its queues.
#[tokio::test]
async fn broker_that_only_uses_queues_declares_none() {
    let fixture = Fixture::new();
    let name = fixture.namespace.name();
    let connect = || Broker::connect_without_declaring(&amqp_url(), name, "queue-test").unwrap();
    let broker = connect();
    wait_up(&broker).await;
    for _ in 0..2 {
        let missing = broker.depth(Target::Dead).await.unwrap_err();
        assert!(matches!(missing, BrokerError::NoSuchQueue(_)), "{missing}");
        assert_eq!(
            missing.to_string(),
            format!("there is no queue {name}.dead")
        );
        // A message without a queue asks for the topology to be declared again.
        let published = broker
            .publisher()
            .publish(Target::Lanes, message("1"), LONG)
            .await;
        assert!(published.is_err(), "{published:?}");
    }
    let declaring = fixture.broker().await;
    assert_eq!(declaring.depth(Target::Lanes).await.unwrap(), 0);
    assert_eq!(broker.depth(Target::Dead).await.unwrap(), 0);
}

#[tokio::test]
async fn changed_argument_is_reported_with_its_queue() {
    let fixture = Fixture::new();
    let _first = fixture.broker().await;
    let changed = Bounds {
        lanes_max: 7,
        ..Bounds::default()
    };
    let topology = Topology::with_bounds(fixture.namespace.name(), changed).unwrap();
    let second = Broker::start(
        &amqp_url(),
        topology,
        "queue-test",
        CancellationToken::new(),
    )
    .unwrap();
    let problem = eventually("a refusal", WAIT_MAX, async || {
        second
            .problem()
            .filter(|problem| problem.contains("declare"))
    })
    .await;
    let topology = fixture.topology();
    let queue = topology.queue(Target::Lanes);
    assert!(
        problem.starts_with(&format!("failed to declare queue {queue}: ")),
        "{problem}"
    );
    assert!(problem.contains("x-max-length"), "{problem}");
    assert_eq!(*second.state().borrow(), BrokerState::Down);
}

#[tokio::test]
async fn broker_that_starts_late_is_found() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    link.cut();
    let broker = fixture.start(link.url());
    eventually("a failure to connect", WAIT_MAX, async || {
        broker
            .problem()
            .filter(|problem| problem != "still connecting")
    })
    .await;
    link.restore();
    wait_up(&broker).await;
    assert_eq!(broker.problem(), None);
}

#[tokio::test]
async fn lost_consuming_connection_shows_in_the_state() {
    let fixture = Fixture::new();
    let link = Link::to(&amqp_url()).await;
    let broker = fixture.broker_at(link.url()).await;
    let _consumer = broker.consumer(Target::Lanes, 1);
    wait_up(&broker).await;
    link.cut();
    let mut state = broker.state();
    state
        .wait_for(|state| *state == BrokerState::Down)
        .await
        .unwrap();
    link.restore();
    wait_up(&broker).await;
}

#[tokio::test]
async fn bad_url_is_refused_without_showing_it() {
    let topology = Topology::new("risiti").unwrap();
    for url in [
        "amqp://user:hunter2@host:notaport/",
        "http://user:hunter2@host",
        "hunter2",
    ] {
        let refused = Broker::start(
            url,
            topology.clone(),
            "queue-test",
            CancellationToken::new(),
        );
        let Err(StartError::Url(_)) = &refused else {
            panic!("{url} was taken")
        };
        assert!(!refused.unwrap_err().to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn bad_namespace_is_refused_as_such() {
    let refused = Broker::connect(&amqp_url(), "Not A Namespace", "queue-test").unwrap_err();
    assert!(matches!(refused, StartError::Namespace(_)), "{refused:?}");
    assert_eq!(refused.argument(), "namespace");
}
