//! What an unanswered look-up leaves behind, and what a resumed lane starts over (protocol D9,
//! D15).

use jiff::{SignedDuration, Timestamp};
use risiti_ledger::{HaltRemedy, LaneWait};

use crate::fixture::{Fixture, failures};

fn nothing_learnt() -> LaneWait<'static> {
    LaneWait {
        pause: None,
        nothing_learnt: true,
        code: Some("999"),
        message: Some("look-up: 999 Unknown error"),
    }
}

#[tokio::test]
async fn a_look_up_without_an_answer_leaves_a_trace() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    let ledger = &fixture.ledger;
    ledger
        .lane_waits(&claim, sale, &nothing_learnt())
        .await
        .unwrap();
    let trace = "SELECT last_outcome || ', ' || i.last_code || ', ' || i.last_error
        FROM lanes l JOIN invoices i USING (device_id) WHERE l.last_call_at IS NOT NULL";
    assert_eq!(
        fixture.text(trace).await,
        "unknown, 999, look-up: 999 Unknown error"
    );
    let history = fixture.next_invoice(&claim).await.unwrap().history;
    assert!(history.unanswered_since.is_some());
    assert_eq!(history.unknown_since, None, "nothing was sent");

    ledger
        .looked_up_absent(&claim, sale, failures(0, 0))
        .await
        .unwrap();
    let history = fixture.next_invoice(&claim).await.unwrap().history;
    assert_eq!(history.unanswered_since, None);
}

/// KRA's word about a refused or hidden number matters more than what a look-up brought.
#[tokio::test]
async fn a_look_up_does_not_overwrite_a_refusal() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    for column in ["refused_at", "hidden_since"] {
        fixture
            .sql(&format!(
                "UPDATE invoices SET refused_at = NULL, hidden_since = NULL, last_error = 'no'; \
                 UPDATE invoices SET {column} = now()"
            ))
            .await;
        fixture
            .ledger
            .lane_waits(&claim, sale, &nothing_learnt())
            .await
            .unwrap();
        let kept = fixture.text("SELECT last_error FROM invoices").await;
        assert_eq!(kept, "no", "{column}");
    }
}

#[tokio::test]
async fn a_resumed_lane_has_its_full_hour_again() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    fixture
        .ledger
        .lane_waits(&claim, sale, &nothing_learnt())
        .await
        .unwrap();
    let halted = fixture
        .ledger
        .halt_lane(&claim, "x", HaltRemedy::LanesResume, None);
    halted.await.unwrap();
    fixture
        .sql("UPDATE invoices SET unknown_since = now() - interval '2 hours'")
        .await;
    fixture.ledger.release_lane(&claim).await.unwrap();

    fixture
        .sql("UPDATE lanes SET halted_at = NULL, halt_reason = NULL, halt_remedy = NULL, retry_at = NULL")
        .await;
    let claim = fixture.claim().await;
    let history = fixture.next_invoice(&claim).await.unwrap().history;
    let age = Timestamp::now().duration_since(history.unknown_since.unwrap());
    assert!(age < SignedDuration::from_mins(10), "{age}");
    assert_eq!(history.unanswered_since, None);
}

#[tokio::test]
async fn a_number_ahead_of_kras_is_free_again() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    fixture.begin_send(&claim).await;
    fixture.ledger.free_number(&claim, sale).await.unwrap();
    assert_eq!(fixture.invoice_state(sale).await, "pending");
    assert_eq!(fixture.next_number().await, "1");
}
