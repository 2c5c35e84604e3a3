use risiti_domain::{InvoiceState, LaneState};

use crate::fixture::Fixture;

#[tokio::test]
async fn the_gauges_count_invoices_and_lanes() {
    let fixture = Fixture::new().await;
    let gauges = fixture.ledger.lane_gauges().await.unwrap();
    assert_eq!(
        (
            gauges.lanes.get(&LaneState::Idle),
            gauges.oldest_pending_seconds
        ),
        (Some(&1), 0)
    );

    fixture.add_sale().await;
    fixture
        .sql("UPDATE invoices SET created_at = now() - interval '90 seconds'")
        .await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    let gauges = fixture.ledger.lane_gauges().await.unwrap();
    assert_eq!(gauges.invoices.get(&InvoiceState::Submitting), Some(&1));
    assert_eq!(gauges.lanes.get(&LaneState::Busy), Some(&1));
    assert!(
        (90..150).contains(&gauges.oldest_pending_seconds),
        "{}",
        gauges.oldest_pending_seconds
    );
}
