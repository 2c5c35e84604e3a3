//! The failures of a host that its row counts for all workers (protocol D13).

use std::time::Duration;

use risiti_domain::DeviceId;
use risiti_ledger::{BreakerChange, FailureRun};
use uuid::Uuid;

use crate::fixture::Fixture;

fn lane(id: u128) -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(id))
}

/// What the host's row says after each of these news was told by some worker.
async fn stored(fixture: &Fixture, news: &[FailureRun]) -> FailureRun {
    let ledger = &fixture.ledger;
    let host = fixture.text("SELECT host FROM hosts").await;
    fixture
        .sql("UPDATE hosts SET failures = 0, failing_lane = NULL")
        .await;
    for told in news {
        let told = [(host.clone(), *told)];
        ledger.note_failures(&told).await.unwrap();
    }
    ledger.host_states().await.unwrap()[0].failures
}

#[tokio::test]
async fn the_row_adds_news_as_a_worker_does() {
    let fixture = Fixture::new().await;
    let steps = [
        FailureRun::WORKED,
        FailureRun::failure(None),
        FailureRun::failure(Some(lane(1))),
        FailureRun::failure(Some(lane(2))),
        FailureRun::WORKED.then(FailureRun::failure(Some(lane(1)))),
    ];
    for first in steps {
        for second in steps {
            for third in steps {
                let expected = FailureRun {
                    worked: false,
                    ..first.then(second).then(third)
                };
                let found = stored(&fixture, &[first, second, third]).await;
                assert_eq!(found, expected, "{first:?} {second:?} {third:?}");
            }
        }
    }
}

/// Calls that were under way when it opened end one after the other, some of them late.
#[tokio::test]
async fn an_open_breaker_counts_nothing_and_a_closed_one_starts_anew() {
    let fixture = Fixture::new().await;
    let ledger = &fixture.ledger;
    let failure = FailureRun::failure(None);
    let opened = stored(&fixture, &[failure, failure]).await;
    let host = fixture.text("SELECT host FROM hosts").await;
    let worker = Uuid::now_v7();
    let open = ledger.open_breaker(&host, worker, Duration::ZERO).await;
    assert_eq!(open.unwrap(), BreakerChange::Made);
    let late = [(host.clone(), failure)];
    ledger.note_failures(&late).await.unwrap();
    let row = &ledger.host_states().await.unwrap()[0];
    assert_eq!(row.failures, opened);

    let minute = Duration::from_secs(60);
    ledger.begin_trial(&host, worker, minute).await.unwrap();
    ledger.close_breaker(&host, worker, lane(1)).await.unwrap();
    let row = &ledger.host_states().await.unwrap()[0];
    assert_eq!(row.failures, FailureRun::default());
}
