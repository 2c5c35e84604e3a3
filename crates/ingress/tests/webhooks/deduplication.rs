//! Duplicates, in one process and across replicas.

use futures_util::future::join_all;
use risiti_testkit::{Link, amqp_url, redis_url};

use crate::fixture::{Fixture, json_of, result_of, stk_success};

#[tokio::test]
async fn parallel_duplicates_publish_once() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;

    let body = stk_success("UIS4000005");
    let answers = join_all((0..40).map(|_| ingress.post_stk(body.clone()))).await;
    let mut accepted = 0;
    for answer in answers {
        assert_eq!(answer.status(), 200);
        match result_of(answer).await.as_str() {
            "Accepted" => accepted += 1,
            other => assert_eq!(other, "Duplicate ignored"),
        }
    }

    assert_eq!((accepted, fixture.queued().await), (1, 1));
}

/// Gumroad tells part refunds of a sale in the same bytes.
#[tokio::test]
async fn equal_part_refunds_are_both_taken() {
    let fixture = Fixture::start().await;
    let ingress = fixture.ingress().ready().await;
    let path = format!("/webhooks/gumroad/{}", fixture.secret);
    let form = [("content-type", "application/x-www-form-urlencoded")];

    let whole = include_str!("../../../providers/fixtures/gumroad/refund_ping.txt");
    let part = whole.replace("refunded=true", "refunded=false");
    for (body, status) in [
        (part.as_str(), "accepted"),
        (&part, "accepted"),
        (whole, "accepted"),
        (whole, "duplicate"),
    ] {
        let answer = ingress.post_with(&path, body, &form).await;
        assert_eq!(json_of(answer).await["status"], status);
    }
    assert_eq!(fixture.queued().await, 3);
}

#[tokio::test]
async fn replicas_share_seen_keys_through_redis() {
    let fixture = Fixture::start().await;
    let one = fixture.ingress().shared_redis().ready().await;
    let two = fixture.ingress().shared_redis().ready().await;

    let body = stk_success("UIS4000008");
    let first = one.post_stk(body.clone()).await;
    assert_ne!(result_of(first).await, "Duplicate ignored");
    let second = two.post_stk(body).await;
    assert_eq!(result_of(second).await, "Duplicate ignored");

    assert_eq!(fixture.queued().await, 1);
}

/// If that disk were lost, whoever sends the webhook again must not be answered that we have it.
#[tokio::test]
async fn webhook_on_one_replicas_disk_is_new_to_another() {
    let fixture = Fixture::start().await;
    let link = Link::to(&amqp_url()).await;
    link.cut();
    let cut_off = fixture
        .ingress()
        .shared_redis()
        .with_spool()
        .broker(&link)
        .ready()
        .await;
    let other = fixture.ingress().shared_redis().ready().await;

    for (ingress, result) in [
        (&cut_off, "Accepted"),
        (&cut_off, "Duplicate ignored"),
        (&other, "Accepted"),
    ] {
        let answer = ingress.post_stk(stk_success("UIS9C00001")).await;
        assert_eq!(result_of(answer).await, result);
    }
}

#[tokio::test]
async fn frozen_redis_costs_no_webhook() {
    let fixture = Fixture::start().await;
    let link = Link::to(&redis_url()).await;
    let ingress = fixture
        .ingress()
        .env("RISITI_REDIS_URL", link.url())
        .ready()
        .await;

    link.freeze();
    for receipt in ["UIS4000011", "UIS4000012", "UIS4000013", "UIS4000014"] {
        let answer = ingress.post_stk(stk_success(receipt)).await;
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(fixture.queued().await, 4);
}
