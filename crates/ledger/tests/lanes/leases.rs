use risiti_domain::DeadCause;
use risiti_ledger::{Adoption, AnsweredSend, LaneWork, SendResult, Tally};
use uuid::Uuid;

use crate::kit::{Kit, receipt};

#[tokio::test]
async fn of_many_that_ask_at_once_one_gets_the_lane() {
    let kit = Kit::new().await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, device) = (kit.ledger.clone(), kit.device);
            tokio::spawn(async move { ledger.claim_lane(device, Uuid::now_v7()).await.unwrap() })
        })
        .collect();
    let mut claims = 0;
    for asked in asking {
        claims += usize::from(asked.await.unwrap().is_some());
    }
    assert_eq!(claims, 1);
}

#[tokio::test]
async fn a_lane_that_is_halted_waits_or_whose_host_is_down_is_not_to_be_had_and_its_token_is_spent()
{
    let kit = Kit::new().await;
    for (hinder, mend) in [
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
        kit.sql("UPDATE lanes SET token_at = now()").await;
        kit.sql(hinder).await;
        assert_eq!(
            kit.ledger.claim_lane(kit.device, kit.worker).await.unwrap(),
            None,
            "{hinder}"
        );
        assert_eq!(
            kit.text("SELECT token_at::text FROM lanes").await,
            "",
            "{hinder}"
        );
        kit.sql(mend).await;
    }
    let claim = kit.claim().await;
    assert!(
        !kit.ledger.release_lane(&claim).await.unwrap(),
        "an idle lane needs no token"
    );
}

/// The heart of it: a worker that was frozen past its lease and thaws in front of any of its writes.
#[tokio::test]
async fn whose_claim_is_gone_writes_nothing() {
    let kit = Kit::new().await;
    let sale = kit.owe().await;
    let old = kit.claim().await;
    let (_, submission) = kit.send(&old).await;
    let submission = submission.unwrap();
    kit.lapse().await;
    let new = kit.claim().await;
    let before = kit
        .text("SELECT (i.*, s.*, l.*)::text FROM invoices i, submissions s, lanes l")
        .await;

    let (ledger, now) = (&kit.ledger, jiff::Timestamp::now());
    let tally = Tally {
        strikes: 1,
        rounds: 1,
        mark: now,
    };
    let answer = AnsweredSend {
        submission,
        word: SendResult::Refused,
        code: Some("910"),
        message: "no",
        settled: true,
        taken: false,
        refused: true,
        outcome: "refused",
        failed: true,
        pause: None,
    };
    assert!(matches!(
        ledger.lane_work(&old).await.unwrap(),
        LaneWork::ClaimGone
    ));
    assert_eq!(
        ledger.begin_send(&old, sale, 1, b"{}", now).await.unwrap(),
        None
    );
    assert!(!ledger.send_answered(&old, &answer).await.unwrap());
    assert!(
        !ledger
            .invoice_accepted(&old, sale, 1, Some(submission), &receipt())
            .await
            .unwrap()
    );
    assert!(!ledger.looked_up_absent(&old, sale, tally).await.unwrap());
    assert!(!ledger.lane_waits(&old, sale, true, None).await.unwrap());
    assert!(!ledger.defer_invoice(&old, sale, tally).await.unwrap());
    assert!(
        !ledger
            .invoice_dead(&old, sale, DeadCause::Refused, 0, None, "no")
            .await
            .unwrap()
    );
    assert!(!ledger.halt_lane(&old, "x").await.unwrap());
    assert_eq!(
        ledger.adopt(&old, sale, 1, &receipt()).await.unwrap(),
        Adoption::ClaimGone
    );
    assert!(!ledger.release_lane(&old).await.unwrap());
    assert!(
        ledger
            .renew_leases(&[(old.device, old.claim_id)])
            .await
            .unwrap()
            .is_empty()
    );

    let after = kit
        .text("SELECT (i.*, s.*, l.*)::text FROM invoices i, submissions s, lanes l")
        .await;
    assert_eq!(before, after);
    assert!(
        ledger
            .invoice_accepted(&new, sale, 1, None, &receipt())
            .await
            .unwrap()
    );
    assert_eq!(
        (kit.state(sale).await, kit.next_no().await),
        ("success 1".to_owned(), "2".to_owned())
    );
}

#[tokio::test]
async fn a_lapsed_lease_that_nobody_took_still_writes_its_outcome() {
    let kit = Kit::new().await;
    let sale = kit.owe().await;
    let claim = kit.claim().await;
    let (_, submission) = kit.send(&claim).await;
    kit.lapse().await;
    assert!(
        kit.ledger
            .invoice_accepted(&claim, sale, 1, submission, &receipt())
            .await
            .unwrap()
    );
    assert_eq!(kit.state(sale).await, "success 1");
}

#[tokio::test]
async fn a_number_is_the_lanes_next_or_nothing_is_sent() {
    let kit = Kit::new().await;
    let sale = kit.owe().await;
    let claim = kit.claim().await;
    let now = jiff::Timestamp::now();
    for no in [2, 7] {
        assert_eq!(
            kit.ledger
                .begin_send(&claim, sale, no, b"{}", now)
                .await
                .unwrap(),
            None
        );
    }
    kit.sql("UPDATE lanes SET halted_at = now(), halt_reason = 'x'")
        .await;
    assert_eq!(
        kit.ledger
            .begin_send(&claim, sale, 1, b"{}", now)
            .await
            .unwrap(),
        None,
        "halted meanwhile"
    );
    assert_eq!(kit.state(sale).await, "pending");
}

#[tokio::test]
async fn a_sale_sent_and_not_answered_is_an_open_question_to_whoever_comes_next() {
    let kit = Kit::new().await;
    kit.owe().await;
    kit.owe().await;
    let dead = kit.claim().await;
    let (sent, _) = kit.send(&dead).await;
    kit.lapse().await;
    let found = kit.next(&kit.claim().await).await.unwrap();
    assert_eq!(
        (found.id, found.invoice_no, found.holds_number),
        (sent.id, 1, true),
        "not the one that is out"
    );
    assert!(found.history.unknown_since.is_some() && found.history.ever_unknown);
    assert_eq!(found.body.as_deref(), Some(&b"{}"[..]));
}
