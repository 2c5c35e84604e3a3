use super::*;

/// So many other workers that want all they can get.
fn others(others: usize, taken: u32) -> HostShares {
    HostShares {
        host: "kra:443".to_owned(),
        wants: vec![50; others],
        taken,
        before: 0,
        silent: 0,
        mine: None,
    }
}

fn host_with(share: u32) -> Arc<Host> {
    let host = Arc::new(Host::new("kra:443"));
    host.want(50);
    host.confirm(share, Instant::now());
    host
}

/// The host's row, with a closed breaker.
fn row(failures: FailureRun) -> HostState {
    HostState {
        host: "kra:443".to_owned(),
        breaker: Breaker::Closed,
        retry_in: Duration::ZERO,
        retry_step: 0,
        failures,
    }
}

fn call(host: &Arc<Host>) -> Option<Permit> {
    match host.admit(false) {
        Admission::Call(permit) => Some(permit),
        _ => None,
    }
}

#[test]
fn no_call_without_a_fresh_heartbeat() {
    let host = Arc::new(Host::new("kra:443"));
    assert!(call(&host).is_none());
    host.confirm(5, Instant::now());
    assert!(call(&host).is_some());
    let stale = Instant::now().checked_sub(HEARTBEAT_EXPIRY / 2).unwrap();
    host.confirm(5, stale);
    assert!(call(&host).is_none());
}

#[test]
fn no_call_once_the_share_is_lost() {
    let host = host_with(5);
    let under_way = call(&host);
    host.lose_share();
    assert!(call(&host).is_none());
    assert_eq!(
        host.settle(&others(1, 5), 5),
        (0, 1),
        "one call is under way"
    );
    drop(under_way);
    host.confirm(2, Instant::now());
    assert!(call(&host).is_some());
}

#[test]
fn the_share_bounds_calls_and_permits_come_back() {
    let host = host_with(2);
    let first = call(&host);
    let second = call(&host);
    assert!(first.is_some() && second.is_some() && call(&host).is_none());
    drop(first);
    assert!(call(&host).is_some());
}

#[test]
fn a_lower_share_applies_at_once_and_calls_still_count() {
    let host = host_with(4);
    let held: Vec<_> = (0..4).map(|_| call(&host).unwrap()).collect();
    assert_eq!(
        host.settle(&others(1, 0), 4),
        (2, 4),
        "four calls are under way"
    );
    drop(held);
    assert_eq!(host.settle(&others(1, 0), 4), (2, 2));
    let held: Vec<_> = (0..4).map_while(|_| call(&host)).collect();
    assert_eq!(held.len(), 2);
}

#[test]
fn a_higher_share_applies_once_it_is_recorded() {
    let host = host_with(1);
    assert_eq!(host.settle(&others(0, 0), 3), (3, 3));
    let held: Vec<_> = (0..3).map_while(|_| call(&host)).collect();
    assert_eq!(held.len(), 1);
    host.confirm(3, Instant::now());
    assert!(call(&host).is_some());
}

#[test]
fn more_of_the_cap_is_asked_for_only_while_there_may_be_some() {
    let host = host_with(10);
    for (taken, more) in [(40, false), (39, true), (50, false)] {
        let (share, _) = host.settle(&others(3, taken), 50);
        host.confirm(share.min(10), Instant::now());
        assert_eq!(host.may_get_more(), more, "{taken} taken");
    }
    let stale = Instant::now().checked_sub(HEARTBEAT_EXPIRY / 2).unwrap();
    host.settle(&others(3, 0), 50);
    host.confirm(10, stale);
    assert!(!host.may_get_more(), "the next heartbeat is late already");
}

#[test]
fn enough_failures_in_a_row_open_the_breaker() {
    let host = host_with(5);
    assert_eq!((host.failed(3, None), host.failed(3, None)), (None, None));
    host.worked();
    let failed = [
        host.failed(3, None),
        host.failed(3, None),
        host.failed(3, None),
    ];
    assert_eq!(failed, [None, None, Some(1)]);
}

#[test]
fn failures_of_other_workers_count() {
    let host = host_with(5);
    let failure = FailureRun::failure(None);
    assert_eq!(host.failed(3, None), None);
    host.observe(&row(failure.then(failure)));
    assert_eq!(host.due_step(3), Some(1), "one here, two elsewhere");

    host.worked();
    assert_eq!(host.due_step(3), None);
    assert_eq!(host.failed(3, None), None);
    host.observe(&row(FailureRun::default()));
    assert_eq!(
        (host.failed(3, None), host.failed(3, None)),
        (None, Some(1))
    );
}

#[test]
fn failures_of_one_worker_count_once() {
    let host = host_with(5);
    let failure = FailureRun::failure(None);
    host.failed(3, None);
    assert_eq!(host.take_news(), Some(failure));
    assert_eq!(host.failed(3, None), None);
    assert_eq!(
        host.take_news(),
        Some(failure.then(failure)),
        "what was not stored is told again"
    );
    host.observe(&row(failure.then(failure)));
    assert_eq!((host.take_news(), host.due_step(3)), (None, None));
    assert_eq!(host.failed(3, None), Some(1));
}

#[test]
fn failures_before_a_breaker_closed_do_not_count() {
    let host = host_with(5);
    host.opened(Duration::ZERO);
    assert!((0..9).all(|_| host.failed(3, None).is_none()));
    host.observe(&row(FailureRun::default()));
    assert_eq!(
        (host.failed(3, None), host.take_news()),
        (None, Some(FailureRun::failure(None)))
    );
}

#[test]
fn one_failing_lane_does_not_open_the_breaker() {
    let lane = |id| Some(DeviceId::from_uuid(uuid::Uuid::from_u128(id)));
    let host = host_with(5);
    assert!((0..20).all(|_| host.failed(3, lane(1)).is_none()));
    assert_eq!(host.failed(3, lane(2)), Some(1), "two lanes");
    host.worked();
    assert!((0..20).all(|_| host.failed(3, lane(1)).is_none()));
    assert_eq!(host.failed(3, None), Some(1), "no answer at all");
}

#[test]
fn one_trial_at_a_time_after_the_pause() {
    let host = host_with(5);
    host.opened(Duration::from_secs(60));
    assert!(matches!(host.admit(false), Admission::Open));
    host.opened(Duration::ZERO);
    let Admission::Trial(_permit, trial) = host.admit(false) else {
        panic!("no trial")
    };
    assert!(matches!(host.admit(false), Admission::Open));
    assert!(
        matches!(host.admit(true), Admission::Call(_)),
        "the trial's own next call"
    );
    drop(trial);
    assert!(matches!(host.admit(false), Admission::Trial(..)));
}
