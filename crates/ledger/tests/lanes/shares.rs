use std::time::Duration;

use uuid::Uuid;

use crate::fixture::Fixture;

const CAP: u32 = 50;

/// Sends one heartbeat, and returns the share it ended with.
async fn heartbeat(fixture: &Fixture, worker: Uuid) -> u32 {
    let mut share = 0;
    fixture
        .ledger
        .heartbeat(worker, |others| {
            share = others.share(CAP);
            share
        })
        .await
        .unwrap();
    share
}

async fn sum_of_shares(fixture: &Fixture) -> i64 {
    fixture
        .client
        .query_one(
            "SELECT coalesce(sum(share), 0)::bigint FROM etims_processes",
            &[],
        )
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn shares_never_exceed_the_cap_as_workers_come_and_go() {
    let fixture = Fixture::new().await;
    let mut workers: Vec<Uuid> = Vec::new();
    for round in 0_u32..25 {
        match round % 5 {
            0 | 1 | 3 => workers.push(Uuid::now_v7()),
            2 => fixture.ledger.leave(workers.remove(0)).await.unwrap(),
            _ => {
                let dead = workers.remove(workers.len() / 2);
                let old = "UPDATE etims_processes SET heartbeat_at = now() - interval '11 seconds'";
                fixture
                    .sql(&format!("{old} WHERE process_id = '{dead}'"))
                    .await;
            }
        }
        for worker in &workers {
            heartbeat(&fixture, *worker).await;
            let sum = sum_of_shares(&fixture).await;
            assert!(sum <= i64::from(CAP), "{sum} in round {round}");
        }
    }
    for _ in 0..2 {
        for worker in &workers {
            heartbeat(&fixture, *worker).await;
        }
    }
    assert_eq!(
        sum_of_shares(&fixture).await,
        i64::from(CAP),
        "the whole cap is shared out in the end"
    );
}

#[tokio::test]
async fn concurrent_heartbeats_take_turns() {
    let fixture = Fixture::new().await;
    let beats: Vec<_> = (0..12)
        .map(|_| {
            let ledger = fixture.ledger.clone();
            tokio::spawn(async move {
                let worker = Uuid::now_v7();
                for _ in 0..5 {
                    ledger
                        .heartbeat(worker, |others| others.share(CAP))
                        .await
                        .unwrap();
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
