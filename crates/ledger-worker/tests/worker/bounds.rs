//! What a batch holds is bounded by bytes as well as by number.

use risiti_queue::Target;

use crate::stage::{Stage, ends_well};

#[tokio::test]
async fn large_bodies_make_small_batches() {
    let stage = Stage::new().await;
    for n in 0..40 {
        let mut message = stage.stk(&format!("UIS4000{n:03}"));
        let mut body = message.body.to_vec();
        body.resize(240 * 1024, b' ');
        message.body = body.into();
        stage.publish(Target::Payments, message).await;
    }
    let worker = stage.worker_with(
        stage.database_url(),
        &["--batch-size=100", "--batch-wait=2s"],
    );
    stage.becomes("SELECT count(*) FROM events", 40).await;
    ends_well(worker).await;
    // One transaction each; by number they would all fit in one.
    let batches = stage
        .number("SELECT count(DISTINCT recorded_at) FROM events")
        .await;
    assert!(batches >= 3, "{batches}");
}
