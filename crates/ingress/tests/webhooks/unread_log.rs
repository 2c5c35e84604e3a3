//! A log pipe that nobody reads any more.

use crate::fixture::{Fixture, receipts};

/// Each accepted webhook is a line of about 250 bytes, and a pipe holds 64 KiB.
#[tokio::test]
async fn webhooks_are_taken_while_nobody_reads_the_log() {
    let fixture = Fixture::start().await;
    let mut ingress = fixture.ingress().ready_with_unread_log().await;
    let receipts = receipts("UISU", 1_000);
    for group in receipts.chunks(50) {
        ingress.accept_all(group).await;
    }
    assert_eq!(fixture.queued().await, 1_000);
    ingress.stop().await;
}
