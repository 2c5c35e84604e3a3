//! Which connections are cut, and for whom.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;

use super::table::{ConnectionLimits, Connections};
use super::{Clock, Phase, Place};
use crate::metrics::ConnectionMetrics;
use crate::source::TrustedProxies;

const PROXY: &str = "10.0.0.1";

fn connections(open_max: usize, per_source_max: usize) -> Arc<Connections> {
    let limits = ConnectionLimits {
        open_max,
        per_source_max,
        head_ticks: 100,
        idle_ticks: 50,
        age_ticks: 1_000,
        requests_max: 3,
    };
    let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
    Connections::new(
        limits,
        proxies,
        ConnectionMetrics::register(&Registry::new()),
    )
}

fn open(connections: &Arc<Connections>, peer: &str) -> Option<Place> {
    connections.open(peer.parse::<IpAddr>().unwrap())
}

fn open_many(connections: &Arc<Connections>, peer: &str, count: usize) -> Vec<Place> {
    (0..count)
        .map(|_| open(connections, peer).unwrap())
        .collect()
}

fn cut(places: &[Place]) -> Vec<usize> {
    (0..places.len())
        .filter(|place| places[*place].is_cut())
        .collect()
}

#[test]
fn new_connection_takes_the_place_of_the_one_that_does_least() {
    let connections = connections(17, 17);
    let places = open_many(&connections, "192.0.2.1", 15);
    for (place, phase) in [
        Phase::Handling,
        Phase::Body,
        Phase::Idle,
        Phase::Idle,
        Phase::Head,
        Phase::Head,
        Phase::Writing,
        Phase::Closing,
    ]
    .into_iter()
    .enumerate()
    {
        places[place].enter(phase);
    }
    places[8..]
        .iter()
        .for_each(|place| place.enter(Phase::Handling));
    places[3].set_proven(true);
    connections.clock().advance(10);
    places[5].enter(Phase::Head);

    // Two go at a time: a sixteenth of all places, rounded up.
    let mut newest = Vec::new();
    let mut order = Vec::new();
    for expected in [&[6, 7][..], &[4, 5], &[2, 3], &[1]] {
        newest.extend(open(&connections, "192.0.2.2"));
        newest.last().unwrap().enter(Phase::Handling);
        order.extend_from_slice(expected);
        let mut cut = cut(&places);
        cut.retain(|place| order.contains(place));
        let mut all = order.clone();
        all.sort_unstable();
        assert_eq!(cut, all);
        newest.extend(open(&connections, "192.0.2.2"));
        newest.last().unwrap().enter(Phase::Handling);
    }
    assert!(!places[0].is_cut(), "a whole request is never cut");
}

#[test]
fn crowd_of_one_source_is_cut_before_others() {
    let connections = connections(32, 32);
    let few = open_many(&connections, "192.0.2.1", 3);
    let behind_proxy = open_many(&connections, PROXY, 15);
    connections.clock().advance(10);
    let crowd = open_many(&connections, "198.51.100.1", 12);
    let _newest = open_many(&connections, "203.0.113.1", 6);
    assert!(!cut(&crowd).is_empty());
    assert_eq!((cut(&few), cut(&behind_proxy)), (vec![], vec![]));
}

#[test]
fn source_has_its_share_and_a_proxy_has_no_bound_of_its_own() {
    let connections = connections(1_000, 10);
    let places = open_many(&connections, "2001:db8::1", 10);
    let more = open(&connections, "2001:db8::2").unwrap();
    assert_eq!(cut(&places).len(), 1);
    // None of them may be cut, so there is no place for another.
    for place in places.iter().chain([&more]) {
        place.enter(Phase::Handling);
    }
    assert!(open(&connections, "2001:db8::3").is_none());
    assert!(open(&connections, "2001:db8:0:1::1").is_some());

    let behind_proxy = open_many(&connections, PROXY, 50);
    assert_eq!(cut(&behind_proxy), [0; 0]);
    drop(places);
    assert!(open(&connections, "2001:db8::3").is_some());
}

#[test]
fn each_phase_has_its_time() {
    for (phase, ticks, is_late, is_cut) in [
        (Phase::Head, 100, true, false),
        (Phase::Idle, 50, true, false),
        (Phase::Writing, 100, false, true),
        (Phase::Closing, 20, false, true),
    ] {
        let connections = connections(100, 100);
        let place = open(&connections, PROXY).unwrap();
        place.enter(phase);
        connections.clock().advance(ticks);
        connections.sweep();
        assert!(!place.is_late() && !place.is_cut(), "{phase:?}");
        connections.clock().advance(1);
        connections.sweep();
        assert_eq!(
            (place.is_late(), place.is_cut()),
            (is_late, is_cut),
            "{phase:?}"
        );
    }
    let connections = connections(100, 100);
    let place = open(&connections, PROXY).unwrap();
    for phase in [Phase::Body, Phase::Handling] {
        place.enter(phase);
        connections.clock().advance(10_000);
        connections.sweep();
        assert!(!place.is_late() && !place.is_cut(), "{phase:?}");
    }
}

#[test]
fn heads_get_less_time_where_places_are_scarce() {
    let connections = connections(100, 100);
    let places = open_many(&connections, PROXY, 75);
    connections.clock().advance(21);
    connections.sweep();
    assert!(places.iter().all(|place| place.is_late()));
}

#[test]
fn connection_ends_by_requests_and_by_age() {
    let connections = connections(100, 100);
    let place = open(&connections, PROXY).unwrap();
    assert!(!place.is_over());
    connections.clock().advance(1_000);
    assert!(place.is_over());
    place.enter(Phase::Idle);
    connections.sweep();
    assert!(
        place.is_late(),
        "an old connection is closed while it is idle"
    );

    let place = open(&connections, PROXY).unwrap();
    place
        .requests
        .store(1, std::sync::atomic::Ordering::Relaxed);
    assert!(!place.is_over());
    place
        .requests
        .store(2, std::sync::atomic::Ordering::Relaxed);
    assert!(place.is_over());
}

#[test]
fn heads_together_hold_no_more_than_their_memory() {
    let connections = connections(3_000, 3_000);
    let places = open_many(&connections, PROXY, 1_100);
    for place in &places {
        place.hold_head(16_000);
    }
    let cut = cut(&places).len();
    assert!((50..200).contains(&cut), "{cut}");
}

#[test]
fn time_is_counted_in_whole_ticks() {
    assert_eq!(Clock::ticks(Duration::from_millis(1)), 1);
    assert_eq!(Clock::ticks(Duration::from_millis(250)), 3);
    assert_eq!(Clock::ticks(Duration::from_secs(10)), 100);
}
