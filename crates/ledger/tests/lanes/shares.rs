use std::time::Duration;

use risiti_ledger::{HostShares, Ledger, LowerShare, Want};
use uuid::Uuid;

use crate::fixture::Fixture;

const CAP: u32 = 50;
/// The longest call of these workers.
const CALL: Duration = Duration::from_secs(60);

/// Sends one heartbeat of a worker that has lanes for the whole cap. Returns the hosts whose lock it
/// wanted.
async fn heartbeat(ledger: &Ledger, worker: Uuid) -> Vec<String> {
    heartbeat_wanting(ledger, worker, CAP).await
}

/// Sends one heartbeat as the etims-worker does, with no call under way.
async fn heartbeat_wanting(ledger: &Ledger, worker: Uuid, calls: u32) -> Vec<String> {
    let mut lower = Vec::new();
    let mut raise = Vec::new();
    for others in renew(ledger, worker, calls).await {
        let share = others.share(CAP, calls);
        match others.mine {
            Some(mine) if share == mine.share => {}
            Some(mine) if share < mine.share => lower.push(LowerShare {
                host: others.host,
                share,
                heartbeat_at: mine.heartbeat_at,
            }),
            _ => raise.push(others.host),
        }
    }
    ledger.lower_shares(worker, &lower).await.unwrap();
    let want = Want {
        calls,
        call_timeout: CALL,
    };
    for host in &raise {
        ledger
            .raise_share(worker, host, want, |others| others.share(CAP, calls))
            .await
            .unwrap();
    }
    raise
}

/// Renews the heartbeat and reads what the others hold, wanting as much of each host.
async fn renew(ledger: &Ledger, worker: Uuid, calls: u32) -> Vec<HostShares> {
    let states = ledger.host_states().await.unwrap();
    let wants: Vec<_> = states
        .into_iter()
        .map(|state| (state.host, calls))
        .collect();
    ledger.renew_shares(worker, &wants).await.unwrap()
}

/// The shares of these workers at the fixture's only host.
async fn shares(fixture: &Fixture, workers: &[Uuid]) -> Vec<i32> {
    let mut shares = Vec::new();
    for worker in workers {
        let query = "SELECT share FROM etims_processes WHERE process_id = $1";
        let row = fixture.client.query_opt(query, &[worker]).await.unwrap();
        shares.push(row.map_or(0, |row| row.get(0)));
    }
    shares
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
async fn a_share_that_is_not_used_is_lent_and_comes_back() {
    let fixture = Fixture::new().await;
    let workers = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    let after_beats = async |wants: [u32; 3]| {
        for _ in 0..3 {
            for (worker, calls) in workers.iter().zip(wants) {
                heartbeat_wanting(&fixture.ledger, *worker, calls).await;
                let sum = sum_of_shares(&fixture).await;
                assert!(sum <= i64::from(CAP), "{sum} wanting {wants:?}");
            }
        }
        shares(&fixture, &workers).await
    };
    assert_eq!(after_beats([30, 30, 0]).await, [24, 25, 1]);
    assert_eq!(after_beats([30, 30, 2]).await, [24, 24, 2]);
    assert_eq!(after_beats([30, 30, CAP]).await, [16, 17, 17]);
    assert_eq!(after_beats([0, 0, 12]).await, [1, 1, 17]);
    assert_eq!(after_beats([0, 0, 15]).await, [1, 1, 17], "it is enough");
    assert_eq!(after_beats([0, 0, CAP]).await, [1, 1, 48]);
}

/// The worker gave the statement up, and its link held it back meanwhile.
#[tokio::test]
async fn a_lower_share_that_comes_late_changes_nothing() {
    let fixture = Fixture::new().await;
    let worker = Uuid::now_v7();
    heartbeat(&fixture.ledger, worker).await;
    let before = renew(&fixture.ledger, worker, 1).await.remove(0);
    let late = LowerShare {
        host: before.host,
        share: 1,
        heartbeat_at: before.mine.unwrap().heartbeat_at,
    };
    heartbeat(&fixture.ledger, worker).await;
    let lower = async |lower| fixture.ledger.lower_shares(worker, &[lower]).await.unwrap();
    lower(late.clone()).await;
    assert_eq!(shares(&fixture, &[worker]).await, [50]);

    let now = renew(&fixture.ledger, worker, 1).await.remove(0);
    lower(LowerShare {
        heartbeat_at: now.mine.unwrap().heartbeat_at,
        ..late
    })
    .await;
    assert_eq!(shares(&fixture, &[worker]).await, [1]);
}

/// Its share stays taken for as long as its calls may last. What nobody wanted is there at once.
#[tokio::test]
async fn a_worker_after_a_killed_one_gets_what_was_left() {
    let fixture = Fixture::new().await;
    let [killed, next] = [Uuid::now_v7(), Uuid::now_v7()];
    heartbeat_wanting(&fixture.ledger, killed, 10).await;
    silence(&fixture, killed, 11).await;
    heartbeat(&fixture.ledger, next).await;
    assert_eq!(shares(&fixture, &[killed, next]).await, [30, 20]);
    expire(&fixture, killed).await;
    heartbeat(&fixture.ledger, next).await;
    assert_eq!(shares(&fixture, &[killed, next]).await, [0, 50]);
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
    let hosts = renew(&fixture.ledger, second, CAP)
        .await
        .into_iter()
        .filter(|others| others.mine.is_some())
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
    let thawed = renew(&fixture.ledger, frozen, CAP).await;
    assert!(
        thawed.iter().all(|others| others.mine.is_none()),
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
    let renewed = renew(&fixture.ledger, slow, CAP).await;
    assert_eq!(renewed[0].mine.map(|mine| mine.share), Some(CAP));
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
