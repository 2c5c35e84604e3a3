//! Ingress tells of webhooks that nobody records.

use risiti_testkit::eventually;

use crate::fixture::{DEADLINE, Fixture};

#[tokio::test]
async fn queue_that_nobody_consumes_shows_and_ages() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    ingress.accept("UISG000001").await;
    eventually("the webhook ages in the queue", DEADLINE, async || {
        let waiting = ingress
            .metric("risiti_queue_messages{queue=\"payments\"}")
            .await;
        let oldest = ingress
            .metric("risiti_queue_oldest_message_seconds{queue=\"payments\"}")
            .await;
        (waiting == 1.0 && oldest > 0.0).then_some(())
    })
    .await;
    let consumers = ingress
        .metric("risiti_queue_consumers{queue=\"payments\"}")
        .await;
    assert_eq!(consumers, 0.0);
}
