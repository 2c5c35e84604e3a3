//! TLS from ingress to the broker, the database and Redis.

use risiti_testkit::{Authority, TlsFront, amqp_url, eventually, redis_url};
use url::Url;

use crate::fixture::{DEADLINE, Fixture, IngressBuilder, result_of, stk_success};

fn trusting(builder: IngressBuilder, authority: &Authority) -> IngressBuilder {
    builder.env("SSL_CERT_FILE", authority.root().to_str().unwrap())
}

#[tokio::test]
async fn broker_database_and_redis_are_reached_over_tls() {
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let amqp = TlsFront::to(&amqp_url(), &authority, "localhost").await;
    let postgres = TlsFront::to(fixture.database.url(), &authority, "localhost").await;
    let redis = TlsFront::to(&redis_url(), &authority, "localhost").await;
    let database_url = format!("{}?sslmode=verify-full", postgres.url("postgres"));
    let behind_tls = || {
        trusting(fixture.ingress(), &authority)
            .env("AMQP_URL", amqp.url("amqps"))
            .env("DATABASE_URL", &database_url)
            .env("RISITI_REDIS_URL", redis.url("rediss"))
    };
    let one = behind_tls().ready().await;
    let two = behind_tls().ready().await;

    let body = stk_success("UIS4000201");
    let answer = one.post_stk(body.clone()).await;
    assert_eq!(result_of(answer).await, "Accepted");
    let queued = fixture.next_queued().await;
    assert_eq!(queued.message.body, body.as_bytes());

    // The other replica can know a webhook only from Redis. Its first connection may take longer
    // than Redis is given for an answer.
    let mut number = 300;
    eventually("replicas share seen keys", DEADLINE, async || {
        number += 1;
        let body = stk_success(&format!("UIS4000{number}"));
        let first = one.post_stk(body.clone()).await;
        assert_eq!(result_of(first).await, "Accepted");
        let second = two.post_stk(body).await;
        (result_of(second).await == "Duplicate ignored").then_some(())
    })
    .await;
}

#[tokio::test]
async fn broker_with_a_wrong_certificate_is_not_used() {
    let fixture = Fixture::start().await;
    let authority = Authority::new();
    let wrong_name = TlsFront::to(&amqp_url(), &authority, "elsewhere.test").await;
    let wrong_authority = TlsFront::to(&amqp_url(), &Authority::new(), "localhost").await;
    let password = Url::parse(&amqp_url())
        .unwrap()
        .password()
        .unwrap_or("guest")
        .to_owned();

    for (what, front) in [
        ("wrong name", wrong_name),
        ("wrong authority", wrong_authority),
    ] {
        // It has no spool, which would take what the broker does not.
        let builder = trusting(fixture.ingress(), &authority).env("AMQP_URL", front.url("amqps"));
        let mut ingress = builder.listening().await;
        let error = ingress
            .process
            .line_with("failed to connect to the broker", DEADLINE)
            .await;
        assert!(error.contains("certificate"), "{what}: {error}");

        let url = format!("http://{}/readyz", ingress.ops);
        let ready = fixture.client.get(url).send().await.unwrap();
        assert_eq!(ready.status(), 503, "{what}");
        let missing = ready.text().await.unwrap();
        assert!(missing.contains("broker"), "{what}: {missing}");
        let answer = ingress.post_stk(stk_success("UIS4000202")).await;
        assert_eq!(answer.status(), 503);

        ingress.stop().await;
        let log = ingress.process.log();
        assert!(!log.contains(&format!(":{password}@")), "{what}");
    }
    assert_eq!(fixture.queued().await, 0);
}

#[tokio::test]
async fn redis_url_that_turns_verification_off_is_refused() {
    let fixture = Fixture::start().await;
    let url = "rediss://:hunter2@localhost:1/#insecure";
    let builder = fixture.ingress().env("RISITI_REDIS_URL", url);
    let (code, log) = builder.run_to_exit().await;
    assert_eq!(code, Some(2));
    assert!(
        log.contains("RISITI_REDIS_URL") && !log.contains("hunter2"),
        "{log}"
    );
}
