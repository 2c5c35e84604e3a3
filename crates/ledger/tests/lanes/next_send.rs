//! A receipt and the next send in one round trip: the send is begun only once the receipt is
//! stored (protocol D6).

use risiti_domain::InvoiceId;
use risiti_ledger::{Claim, LaneError};

use crate::fixture::{Fixture, first_send, receipt};

/// A lane with two sales, of which the first is sent.
struct Sent {
    fixture: Fixture,
    claim: Claim,
    first: InvoiceId,
    submission: i64,
    second: InvoiceId,
}

impl Sent {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let first = fixture.add_sale().await;
        let second = fixture.add_sale().await;
        let claim = fixture.claim().await;
        let (_, submission) = fixture.begin_send(&claim).await;
        Self {
            fixture,
            claim,
            first,
            submission: submission.unwrap(),
            second,
        }
    }

    /// Stores the receipt of the first sale, and begins to send the second.
    async fn accept_and_begin_next(&self) -> Result<Option<i64>, LaneError> {
        let next = first_send(self.second, 2, b"second");
        let sent = (self.first, 1, self.submission);
        self.fixture
            .ledger
            .accepted_and_begin_next(&self.claim, sent, &receipt(), &next)
            .await
    }

    async fn states(&self) -> [String; 2] {
        [
            self.fixture.invoice_state(self.first).await,
            self.fixture.invoice_state(self.second).await,
        ]
    }
}

#[tokio::test]
async fn a_receipt_and_the_next_send_are_one_round_trip() {
    let sent = Sent::new().await;
    let ledger = &sent.fixture.ledger;
    let following = ledger.following_invoice(&sent.claim).await.unwrap();
    let following = following.expect("the second sale follows");
    assert_eq!((following.id, following.invoice_no), (sent.second, 2));
    assert!(!following.holds_number);

    let submission = sent.accept_and_begin_next().await.unwrap();
    assert_eq!(sent.states().await, ["success 1", "submitting 2"]);
    assert_eq!(sent.fixture.next_number().await, "2");
    let stored = format!(
        "SELECT convert_from(body, 'UTF8') || ' ' || invoice_no || ' ' || (outcome IS NULL) FROM submissions WHERE id = {}",
        submission.unwrap()
    );
    assert_eq!(sent.fixture.text(&stored).await, "second 2 true");
    let unknown =
        "SELECT (unknown_since IS NOT NULL)::text FROM invoices WHERE state = 'submitting'";
    assert_eq!(sent.fixture.text(unknown).await, "true");
}

#[tokio::test]
async fn no_send_is_begun_without_the_receipt_before_it() {
    let sent = Sent::new().await;
    sent.fixture.expire_lease().await;
    let taken = sent.fixture.claim().await;
    let outcome = sent.accept_and_begin_next().await;
    assert!(matches!(outcome, Err(LaneError::ClaimGone)), "{outcome:?}");
    assert_eq!(sent.states().await, ["submitting 1", "pending"]);
    assert_eq!(sent.fixture.next_number().await, "1");
    sent.fixture.ledger.release_lane(&taken).await.unwrap();
}

/// What was read about the next invoice may be out of date by the time of its send.
#[tokio::test]
async fn a_receipt_is_stored_where_the_next_send_is_not_begun() {
    for change in [
        "UPDATE lanes SET halted_at = now(), halt_reason = 'x'",
        "UPDATE invoices SET state = 'discarded' WHERE state = 'pending'",
    ] {
        let sent = Sent::new().await;
        sent.fixture.sql(change).await;
        assert_eq!(
            sent.accept_and_begin_next().await.unwrap(),
            None,
            "{change}"
        );
        let [first, second] = sent.states().await;
        assert_eq!(first, "success 1", "{change}");
        assert!(!second.starts_with("submitting"), "{change}: {second}");
        let sends = "SELECT count(*)::text FROM submissions";
        assert_eq!(sent.fixture.text(sends).await, "1", "{change}");
    }
}

#[tokio::test]
async fn nothing_follows_in_a_halted_lane_or_without_an_invoice() {
    for change in [
        "UPDATE lanes SET halted_at = now(), halt_reason = 'x'",
        "UPDATE invoices SET state = 'discarded' WHERE state = 'pending'",
    ] {
        let sent = Sent::new().await;
        sent.fixture.sql(change).await;
        let following = sent.fixture.ledger.following_invoice(&sent.claim).await;
        assert!(following.unwrap().is_none(), "{change}");
    }
}

/// A late look-up waits for the invoices (protocol D10).
#[tokio::test]
async fn an_invoice_follows_before_a_late_look_up() {
    let sent = Sent::new().await;
    let due = "UPDATE invoices SET look_up_due_at = now(), look_up_no = 1 WHERE state = 'pending'";
    sent.fixture.sql(due).await;
    let following = sent.fixture.ledger.following_invoice(&sent.claim).await;
    assert!(following.unwrap().is_some());
}

/// Whoever is given such a number next looks it up first (protocol D10).
#[tokio::test]
async fn what_follows_knows_of_open_sends_under_its_number() {
    let sent = Sent::new().await;
    let other = sent.fixture.add_sale().await;
    sent.fixture
        .sql(&format!(
            "INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body)
             SELECT id, device_id, 2, id, '' FROM invoices WHERE id = '{other}'"
        ))
        .await;
    let following = sent.fixture.ledger.following_invoice(&sent.claim).await;
    let following = following.unwrap().expect("the second sale follows");
    assert!(following.history.others_unknown && !following.history.ever_unknown);
}
