use std::time::Duration;

use risiti_domain::DeadCause;
use risiti_ledger::{
    AnsweredSend, HaltOutcome, HaltRemedy, LaneError, LaneWait, Released, SendResult,
};
use uuid::Uuid;

use crate::fixture::{Fixture, failures, first_send, last_word, receipt};

#[tokio::test]
async fn one_of_many_concurrent_claims_gets_the_lane() {
    let fixture = Fixture::new().await;
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, device) = (fixture.ledger.clone(), fixture.device);
            tokio::spawn(async move { ledger.claim_lane(device, Uuid::now_v7()).await.unwrap() })
        })
        .collect();
    let mut claims = 0;
    for attempt in attempts {
        claims += usize::from(attempt.await.unwrap().is_some());
    }
    assert_eq!(claims, 1);
}

#[tokio::test]
async fn a_blocked_lane_is_not_claimed_and_its_wake_up_is_spent() {
    let fixture = Fixture::new().await;
    for (block, unblock) in [
        (
            "UPDATE lanes SET halted_at = now(), halt_reason = 'x'",
            "UPDATE lanes SET halted_at = NULL, halt_reason = NULL",
        ),
        (
            "UPDATE lanes SET retry_at = now() + interval '1 minute'",
            "UPDATE lanes SET retry_at = NULL",
        ),
        (
            "UPDATE hosts SET breaker = 'open', retry_at = now() + interval '1 minute'",
            "UPDATE hosts SET breaker = 'closed', retry_at = NULL",
        ),
        (
            "UPDATE hosts SET breaker = 'trying', trial_until = now() + interval '1 minute'",
            "UPDATE hosts SET breaker = 'closed', trial_until = NULL",
        ),
    ] {
        fixture.sql("UPDATE lanes SET token_at = now()").await;
        fixture.sql(block).await;
        assert_eq!(
            fixture
                .ledger
                .claim_lane(fixture.device, fixture.worker)
                .await
                .unwrap(),
            None,
            "{block}"
        );
        assert_eq!(
            fixture.text("SELECT token_at::text FROM lanes").await,
            "",
            "{block}"
        );
        fixture.sql(unblock).await;
    }
    let claim = fixture.claim().await;
    assert_eq!(
        fixture.ledger.release_lane(&claim).await.unwrap(),
        Released::Idle,
        "an idle lane needs no wake-up"
    );
}

fn claim_is_gone<T>(result: Result<T, LaneError>) -> bool {
    matches!(result, Err(LaneError::ClaimGone))
}

/// Each write stands for a worker that was frozen past its lease and thaws just before it.
#[tokio::test]
async fn a_worker_without_its_claim_writes_nothing() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let old = fixture.claim().await;
    let (_, submission) = fixture.begin_send(&old).await;
    let submission = submission.unwrap();
    fixture.expire_lease().await;
    let new = fixture.claim().await;
    let before = fixture
        .text("SELECT (i.*, s.*, l.*)::text FROM invoices i, submissions s, lanes l")
        .await;

    let ledger = &fixture.ledger;
    let answer = AnsweredSend {
        submission,
        result: SendResult::Refused,
        code: Some("910"),
        message: "no",
        expected_no: None,
        outcome: "refused",
        pause: Some(Duration::from_secs(1)),
    };
    assert!(claim_is_gone(ledger.lane_work(&old).await));
    assert_eq!(
        ledger
            .begin_send(&old, &first_send(sale, 1, b"{}"))
            .await
            .unwrap(),
        None
    );
    assert!(claim_is_gone(ledger.send_answered(&old, &answer).await));
    assert!(claim_is_gone(
        ledger
            .invoice_accepted(&old, sale, 1, Some(submission), &receipt())
            .await
    ));
    assert!(claim_is_gone(
        ledger.looked_up_absent(&old, sale, failures(1, 1)).await
    ));
    assert!(claim_is_gone(
        ledger.lane_waits(&old, sale, &LaneWait::default()).await
    ));
    assert!(claim_is_gone(
        ledger.defer_invoice(&old, sale, failures(1, 1)).await
    ));
    assert!(claim_is_gone(
        ledger
            .invoice_dead(&old, sale, &last_word(DeadCause::Refused, None))
            .await
    ));
    assert!(claim_is_gone(ledger.adopt(&old, sale, 1, &receipt()).await));
    assert_eq!(
        ledger
            .halt_lane(&old, "x", HaltRemedy::LanesResume, None)
            .await
            .unwrap(),
        HaltOutcome::Unchanged
    );
    assert_eq!(ledger.release_lane(&old).await.unwrap(), Released::Idle);
    assert!(
        ledger
            .renew_leases(&[(old.device, old.claim_id)])
            .await
            .unwrap()
            .is_empty()
    );

    let after = fixture
        .text("SELECT (i.*, s.*, l.*)::text FROM invoices i, submissions s, lanes l")
        .await;
    assert_eq!(before, after);
    ledger
        .invoice_accepted(&new, sale, 1, None, &receipt())
        .await
        .unwrap();
    assert_eq!(
        (
            fixture.invoice_state(sale).await,
            fixture.next_number().await
        ),
        ("success 1".to_owned(), "2".to_owned())
    );
}

#[tokio::test]
async fn a_lapsed_lease_that_nobody_took_still_writes() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    let (_, submission) = fixture.begin_send(&claim).await;
    fixture.expire_lease().await;
    fixture
        .ledger
        .invoice_accepted(&claim, sale, 1, submission, &receipt())
        .await
        .unwrap();
    assert_eq!(fixture.invoice_state(sale).await, "success 1");
}

#[tokio::test]
async fn only_the_lanes_next_number_can_be_sent() {
    let fixture = Fixture::new().await;
    let sale = fixture.add_sale().await;
    let claim = fixture.claim().await;
    for number in [2, 7] {
        assert_eq!(
            fixture
                .ledger
                .begin_send(&claim, &first_send(sale, number, b"{}"))
                .await
                .unwrap(),
            None
        );
    }
    fixture
        .sql("UPDATE lanes SET halted_at = now(), halt_reason = 'x'")
        .await;
    assert_eq!(
        fixture
            .ledger
            .begin_send(&claim, &first_send(sale, 1, b"{}"))
            .await
            .unwrap(),
        None,
        "halted meanwhile"
    );
    assert_eq!(fixture.invoice_state(sale).await, "pending");
}

#[tokio::test]
async fn an_unanswered_send_is_unknown_to_the_next_worker() {
    let fixture = Fixture::new().await;
    fixture.add_sale().await;
    fixture.add_sale().await;
    let dead = fixture.claim().await;
    let (sent, _) = fixture.begin_send(&dead).await;
    fixture.expire_lease().await;
    let found = fixture.next_invoice(&fixture.claim().await).await.unwrap();
    assert_eq!(
        (found.id, found.invoice_no, found.holds_number),
        (sent.id, 1, true),
        "not the invoice that holds the number"
    );
    assert!(found.history.unknown_since.is_some() && found.history.ever_unknown);
    assert_eq!(found.body.as_deref(), Some(&b"{}"[..]));
}
