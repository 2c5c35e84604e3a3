use crate::{BOUND, Stage, up};
use risiti_queue::{Bounds, Broker, BrokerState, StartError, Target, Topology};
use risiti_testkit::{Link, amqp_url, eventually};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn declaring_again_changes_nothing() {
    let stage = Stage::new();
    let first = stage.broker().await;
    let second = stage.broker().await;
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

#[tokio::test]
async fn a_changed_argument_is_told_with_the_name_of_its_queue() {
    let stage = Stage::new();
    let _first = stage.broker().await;
    let changed = Bounds {
        lanes_max: 7,
        ..Bounds::default()
    };
    let topology = Topology::with_bounds(stage.namespace.name(), changed).unwrap();
    let second = Broker::start(
        &amqp_url(),
        topology,
        "queue-test",
        CancellationToken::new(),
    )
    .unwrap();
    let problem = eventually("a refusal", BOUND, async || {
        second
            .problem()
            .filter(|problem| problem.contains("declare"))
    })
    .await;
    let queue = stage.topology();
    let queue = queue.queue(Target::Lanes);
    assert!(
        problem.starts_with(&format!("failed to declare queue {queue}: ")),
        "{problem}"
    );
    assert!(problem.contains("x-max-length"), "{problem}");
    assert_eq!(*second.state().borrow(), BrokerState::Down);
}

#[tokio::test]
async fn a_broker_that_appears_late_is_found() {
    let stage = Stage::new();
    let link = Link::to(&amqp_url()).await;
    link.cut();
    let broker = stage.start(link.url());
    eventually("a failure to connect", BOUND, async || {
        broker
            .problem()
            .filter(|problem| problem != "still connecting")
    })
    .await;
    link.restore();
    up(&broker).await;
    assert_eq!(broker.problem(), None);
}

#[tokio::test]
async fn a_lost_consuming_connection_shows_in_the_state() {
    let stage = Stage::new();
    let link = Link::to(&amqp_url()).await;
    let broker = stage.broker_at(link.url()).await;
    let _consumer = broker.consumer(Target::Lanes, 1);
    up(&broker).await;
    link.cut();
    let mut state = broker.state();
    state
        .wait_for(|state| *state == BrokerState::Down)
        .await
        .unwrap();
    link.restore();
    up(&broker).await;
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused_without_showing_it() {
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
        let Err(StartError { .. }) = &refused else {
            panic!("{url} was taken")
        };
        assert!(!refused.unwrap_err().to_string().contains("hunter2"));
    }
}
