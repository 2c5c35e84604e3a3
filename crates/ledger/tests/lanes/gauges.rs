use risiti_domain::{InvoiceState, LaneState};

use crate::fixture::{Fixture, receipt};

#[tokio::test]
async fn the_gauges_count_invoices_and_lanes() {
    let fixture = Fixture::new().await;
    let ledger = &fixture.ledger;
    assert_eq!(
        ledger.count_lanes().await.unwrap().get(&LaneState::Idle),
        Some(&1)
    );
    assert_eq!(ledger.oldest_pending_seconds().await.unwrap(), 0);

    fixture.add_sale().await;
    fixture
        .sql("UPDATE invoices SET created_at = now() - interval '90 seconds'")
        .await;
    let claim = fixture.claim().await;
    let (sent, _) = fixture.begin_send(&claim).await;
    let unfiled = ledger.count_unfiled_invoices().await.unwrap();
    assert_eq!(unfiled.get(&InvoiceState::Submitting), Some(&1));
    assert_eq!(
        ledger.count_lanes().await.unwrap().get(&LaneState::Busy),
        Some(&1)
    );
    let oldest = ledger.oldest_pending_seconds().await.unwrap();
    assert!((90..150).contains(&oldest), "{oldest}");

    ledger
        .invoice_accepted(&claim, sent.id, sent.invoice_no, None, &receipt())
        .await
        .unwrap();
    assert_eq!(ledger.count_filed_invoices().await.unwrap(), 1);
    assert!(ledger.count_unfiled_invoices().await.unwrap().is_empty());
    assert_eq!(ledger.oldest_pending_seconds().await.unwrap(), 0);
    assert_eq!(ledger.count_replays().await.unwrap(), 0);
}

#[tokio::test]
async fn a_credit_note_that_waits_for_its_sale_is_not_the_oldest() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    fixture.add_credit_note(sale).await;
    fixture
        .sql("UPDATE invoices SET created_at = now() - CASE kind WHEN 'sale' THEN interval '90 seconds' ELSE interval '1 day' END")
        .await;
    let oldest = fixture.ledger.oldest_pending_seconds().await.unwrap();
    assert!((90..150).contains(&oldest), "{oldest}");
}

/// The limit is the reading's own, and not the one of every statement.
#[tokio::test]
async fn a_reading_that_takes_too_long_ends_alone() {
    let fixture = Fixture::new().await;
    fixture
        .sql("CREATE OR REPLACE FUNCTION lane_state(device uuid, halted boolean) RETURNS text LANGUAGE sql VOLATILE
             AS $$ SELECT pg_sleep(600)::text $$")
        .await;
    let error = fixture.ledger.count_lanes().await.unwrap_err();
    assert!(error.to_string().contains("statement timeout"), "{error}");
    assert_eq!(fixture.ledger.oldest_pending_seconds().await.unwrap(), 0);
}
