use std::time::Duration;

use uuid::Uuid;

use crate::fixture::Fixture;

const CAP: u32 = 50;
/// The longest call of these workers.
const CALL: Duration = Duration::from_secs(60);

/// Sends one heartbeat as the etims-worker does, with no call under way. Returns the hosts whose
/// lock it wanted.
async fn heartbeat(ledger: &risiti_ledger::Ledger, worker: Uuid) -> Vec<String> {
    let mut lower = Vec::new();
    let mut raise = Vec::new();
    for others in ledger.renew_shares(worker).await.unwrap() {
        let share = others.share(CAP);
        match others.recorded {
            Some(recorded) if share == recorded => {}
            Some(recorded) if share < recorded => lower.push((others.host, share)),
            _ => raise.push(others.host),
        }
    }
    ledger.lower_shares(worker, &lower).await.unwrap();
    for host in &raise {
        ledger
            .raise_share(worker, host, CALL, |others| others.share(CAP))
            .await
            .unwrap();
    }
    raise
}

/// Makes a second host, which belongs to no lane.
async fn add_host(fixture: &Fixture, host: &str) {
    fixture
        .sql(&format!("INSERT INTO hosts (host) VALUES ('{host}')"))
        .await;
}

/// The largest sum of shares of any host.
async fn sum_of_shares(fixture: &Fixture) -> i64 {
    fixture
        .client
        .query_one(
            "SELECT coalesce(max(sum), 0)::bigint FROM (SELECT sum(share) FROM etims_processes GROUP BY host) sums",
            &[],
        )
        .await
        .unwrap()
        .get(0)
}

/// Lets a worker be silent for so many seconds.
async fn silence(fixture: &Fixture, worker: Uuid, seconds: u32) {
    fixture
        .sql(&format!(
            "UPDATE etims_processes SET heartbeat_at = now() - interval '{seconds} seconds'
             WHERE process_id = '{worker}'"
        ))
        .await;
}

/// Lets a worker be silent until none of its calls can be under way.
async fn expire(fixture: &Fixture, worker: Uuid) {
    silence(fixture, worker, 71).await;
}

#[tokio::test]
async fn shares_never_exceed_the_cap_as_workers_come_and_go() {
    let fixture = Fixture::new().await;
    let mut workers: Vec<Uuid> = Vec::new();
    for round in 0_u32..25 {
        match round % 5 {
            0 | 1 | 3 => workers.push(Uuid::now_v7()),
            2 => fixture.ledger.leave(workers.remove(0), &[]).await.unwrap(),
            _ => expire(&fixture, workers.remove(workers.len() / 2)).await,
        }
        for worker in &workers {
            heartbeat(&fixture.ledger, *worker).await;
            let sum = sum_of_shares(&fixture).await;
            assert!(sum <= i64::from(CAP), "{sum} in round {round}");
        }
    }
    for _ in 0..2 {
        for worker in &workers {
            heartbeat(&fixture.ledger, *worker).await;
        }
    }
    assert_eq!(
        sum_of_shares(&fixture).await,
        i64::from(CAP),
        "the whole cap is shared out in the end"
    );
}

#[tokio::test]
async fn concurrent_heartbeats_never_exceed_the_cap() {
    let fixture = Fixture::new().await;
    add_host(&fixture, "other:443").await;
    let beats: Vec<_> = (0..12)
        .map(|_| {
            let ledger = fixture.ledger.clone();
            tokio::spawn(async move {
                let worker = Uuid::now_v7();
                for _ in 0..5 {
                    heartbeat(&ledger, worker).await;
                }
            })
        })
        .collect();
    while beats.iter().any(|beat| !beat.is_finished()) {
        let sum = sum_of_shares(&fixture).await;
        assert!(sum <= i64::from(CAP), "{sum}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for beat in beats {
        beat.await.unwrap();
    }
}

/// A worker that is stopped while it holds a host's lock delays nobody's heartbeat.
#[tokio::test]
async fn a_heartbeat_waits_for_no_lock_and_wants_one_only_to_grow() {
    let fixture = Fixture::new().await;
    add_host(&fixture, "other:443").await;
    let [first, second] = [Uuid::now_v7(), Uuid::now_v7()];
    assert_eq!(heartbeat(&fixture.ledger, first).await.len(), 2);
    fixture
        .sql("BEGIN; SELECT pg_advisory_xact_lock(x'72697369'::int, hashtext('other:443'))")
        .await;

    assert!(
        heartbeat(&fixture.ledger, first).await.is_empty(),
        "nothing changes, so that no lock is wanted"
    );
    assert_eq!(heartbeat(&fixture.ledger, second).await.len(), 2);
    let hosts = fixture
        .ledger
        .renew_shares(second)
        .await
        .unwrap()
        .into_iter()
        .filter(|others| others.recorded.is_some())
        .count();
    assert_eq!(hosts, 1, "the host whose lock is free is settled");

    fixture.sql("COMMIT").await;
    for worker in [first, second, first, second] {
        heartbeat(&fixture.ledger, worker).await;
    }
    for worker in [first, second] {
        assert!(heartbeat(&fixture.ledger, worker).await.is_empty());
    }
    assert_eq!(sum_of_shares(&fixture).await, i64::from(CAP));
}

#[tokio::test]
async fn a_share_that_was_reclaimed_does_not_come_back() {
    let fixture = Fixture::new().await;
    let [frozen, other] = [Uuid::now_v7(), Uuid::now_v7()];
    heartbeat(&fixture.ledger, frozen).await;
    expire(&fixture, frozen).await;
    heartbeat(&fixture.ledger, other).await;
    let thawed = fixture.ledger.renew_shares(frozen).await.unwrap();
    assert!(
        thawed.iter().all(|others| others.recorded.is_none()),
        "{thawed:?}"
    );
    heartbeat(&fixture.ledger, frozen).await;
    assert_eq!(sum_of_shares(&fixture).await, i64::from(CAP));
}

/// Its heartbeat is old, and nobody has taken its share yet.
#[tokio::test]
async fn a_share_that_nobody_reclaimed_is_kept() {
    let fixture = Fixture::new().await;
    let [slow, other] = [Uuid::now_v7(), Uuid::now_v7()];
    heartbeat(&fixture.ledger, slow).await;
    heartbeat(&fixture.ledger, other).await;
    expire(&fixture, slow).await;
    let renewed = fixture.ledger.renew_shares(slow).await.unwrap();
    assert_eq!(renewed[0].recorded, Some(CAP));
    heartbeat(&fixture.ledger, other).await;
    assert_eq!(sum_of_shares(&fixture).await, i64::from(CAP));
}

/// A silent worker may have made calls just before, and each lasts up to a minute.
#[tokio::test]
async fn a_silent_workers_share_waits_for_its_longest_call() {
    let fixture = Fixture::new().await;
    let [silent, other] = [Uuid::now_v7(), Uuid::now_v7()];
    heartbeat(&fixture.ledger, silent).await;
    for _ in 0..2 {
        heartbeat(&fixture.ledger, other).await;
        heartbeat(&fixture.ledger, silent).await;
    }
    heartbeat(&fixture.ledger, other).await;
    let share = async || {
        heartbeat(&fixture.ledger, other).await;
        let query = format!("SELECT share::text FROM etims_processes WHERE process_id = '{other}'");
        fixture.text(&query).await
    };
    assert_eq!(share().await, "25");
    for (seconds, expected) in [(11, "25"), (69, "25"), (71, "50")] {
        silence(&fixture, silent, seconds).await;
        assert_eq!(share().await, expected, "silent for {seconds} s");
    }
}

#[tokio::test]
async fn calls_left_under_way_count_until_they_must_have_ended() {
    let fixture = Fixture::new().await;
    let [leaving, other] = [Uuid::now_v7(), Uuid::now_v7()];
    heartbeat(&fixture.ledger, leaving).await;
    let host = fixture.text("SELECT host FROM etims_processes").await;
    fixture.ledger.leave(leaving, &[(host, 3)]).await.unwrap();
    heartbeat(&fixture.ledger, other).await;
    let held = "SELECT string_agg(share::text, ' ' ORDER BY share) FROM etims_processes";
    assert_eq!(fixture.text(held).await, "3 25");
    silence(&fixture, leaving, 11).await;
    heartbeat(&fixture.ledger, other).await;
    assert_eq!(
        fixture.text(held).await,
        "3 47",
        "it is gone, its calls are not"
    );
    expire(&fixture, leaving).await;
    heartbeat(&fixture.ledger, other).await;
    assert_eq!(fixture.text(held).await, "50");
}
