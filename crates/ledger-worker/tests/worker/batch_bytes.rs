//! A batch is bounded by bytes as well as by number.

use risiti_queue::Target;

use crate::fixture::{Fixture, terminate_cleanly};

#[tokio::test]
async fn large_bodies_make_small_batches() {
    let fixture = Fixture::new().await;
    for n in 0..40 {
        let mut message = fixture.stk(&format!("UIS4000{n:03}"));
        let mut body = message.body.to_vec();
        body.resize(240 * 1024, b' ');
        message.body = body.into();
        fixture.publish(Target::Payments, message).await;
    }
    let worker = fixture.worker_with(
        fixture.database_url(),
        &["--batch-size=100", "--batch-wait=2s"],
    );
    fixture
        .wait_for_number("SELECT count(*) FROM events", 40)
        .await;
    terminate_cleanly(worker).await;
    // Each batch is one transaction. By number, all messages would fit in one.
    let batches = fixture
        .query_number("SELECT count(DISTINCT recorded_at) FROM events")
        .await;
    assert!(batches >= 3, "{batches}");
}
