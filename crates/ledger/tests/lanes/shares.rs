use std::time::Duration;

use uuid::Uuid;

use crate::kit::Kit;

const CAP: u32 = 50;

/// One heartbeat; the share it ended with.
async fn beat(kit: &Kit, worker: Uuid) -> u32 {
    let mut share = 0;
    kit.ledger
        .heartbeat(worker, |others| {
            share = others.share(CAP);
            share
        })
        .await
        .unwrap();
    share
}

async fn sum(kit: &Kit) -> i64 {
    kit.side
        .query_one(
            "SELECT coalesce(sum(share), 0)::bigint FROM etims_processes",
            &[],
        )
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn the_shares_never_pass_the_cap_while_workers_come_go_and_die() {
    let kit = Kit::new().await;
    let mut workers: Vec<Uuid> = Vec::new();
    for round in 0_u32..25 {
        match round % 5 {
            0 | 1 | 3 => workers.push(Uuid::now_v7()),
            2 => kit.ledger.leave(workers.remove(0)).await.unwrap(),
            _ => {
                let dead = workers.remove(workers.len() / 2);
                let old = "UPDATE etims_processes SET heartbeat_at = now() - interval '11 seconds'";
                kit.sql(&format!("{old} WHERE process_id = '{dead}'")).await;
            }
        }
        for worker in &workers {
            beat(&kit, *worker).await;
            let sum = sum(&kit).await;
            assert!(sum <= i64::from(CAP), "{sum} in round {round}");
        }
    }
    for _ in 0..2 {
        for worker in &workers {
            beat(&kit, *worker).await;
        }
    }
    assert_eq!(
        sum(&kit).await,
        i64::from(CAP),
        "all of it is shared out in the end"
    );
}

#[tokio::test]
async fn heartbeats_at_the_same_time_take_turns() {
    let kit = Kit::new().await;
    let beats: Vec<_> = (0..12)
        .map(|_| {
            let ledger = kit.ledger.clone();
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
        let sum = sum(&kit).await;
        assert!(sum <= i64::from(CAP), "{sum}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for beat in beats {
        beat.await.unwrap();
    }
}
