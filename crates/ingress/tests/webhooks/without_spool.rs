//! An ingress without a spool acknowledges only what the broker confirmed.

use risiti_testkit::{Link, amqp_url, eventually};

use crate::fixture::{DEADLINE, Fixture, result_of, stk_success};

#[tokio::test]
async fn without_a_spool_a_lost_broker_means_503_then_accepted() {
    let fixture = Fixture::start().await;
    let link = Link::to(&amqp_url()).await;
    let ingress = fixture.ingress().broker(&link).ready().await;

    link.cut();
    let body = stk_success("UIS4000006");
    let answer = ingress.post_stk(body.clone()).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "5");

    link.restore();
    ingress.wait_until_ready().await;
    let answer = ingress.post_stk(body).await;
    assert_eq!(result_of(answer).await, "Accepted");
    assert_eq!(fixture.queued().await, 1);
}

#[tokio::test]
async fn without_a_spool_a_lost_confirm_means_503() {
    let fixture = Fixture::start().await;
    let link = Link::to(&amqp_url()).await;
    let ingress = fixture
        .ingress()
        .broker(&link)
        .env("RISITI_PUBLISH_TIMEOUT", "500ms")
        .ready()
        .await;

    link.lose_answers();
    let answer = ingress.post_stk(stk_success("UIS4000007")).await;
    assert_eq!(answer.status(), 503);
}

#[tokio::test]
async fn without_a_spool_a_missing_queue_means_503() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    fixture.namespace.delete_queue("payments").await;
    let body = stk_success("UIS4000015");
    assert_eq!(ingress.post_stk(body.clone()).await.status(), 503);

    // The topology is declared again, and the sender's next try is the first that counts.
    eventually("the webhook is accepted", DEADLINE, async || {
        (ingress.post_stk(body.clone()).await.status() == 200).then_some(())
    })
    .await;
    assert_eq!(fixture.queued().await, 1);
}
