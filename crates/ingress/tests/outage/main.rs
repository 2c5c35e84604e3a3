//! Every webhook is answered with 200 within 3 s of its last byte, whatever is frozen, gone or
//! silent behind ingress (protocol A5). What the broker cannot confirm is spooled. Each webhook
//! becomes one payment.
//!
//! It is one test with servers of its own, because RabbitMQ takes long to boot.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be set up fails its test"
)]

mod fixture;

use risiti_testkit::Server::{Postgres, RabbitMq, Redis};
use risiti_testkit::{Link, Program};

use fixture::Fixture;

#[tokio::test]
async fn every_webhook_is_answered_within_three_seconds() {
    let mut fixture = Fixture::start().await;
    let ingress = fixture.ingress().await;
    // Ingress does not depend on the tax authority.
    let simulator = Program::built("etims-sim")
        .args(["--listen", "127.0.0.1:0"])
        .start();
    simulator.freeze();
    fixture.post_burst(&ingress, "nothing").await;

    for server in [Postgres, Redis, RabbitMq] {
        fixture.servers.freeze(server).await;
        let fault = format!("{server:?} frozen");
        fixture.post_burst(&ingress, &fault).await;
        fixture.servers.thaw(server).await;
        fixture.wait_until_ready(&ingress).await;

        for (what, cause) in [
            ("cut", Link::cut as fn(&Link)),
            ("silent", Link::freeze),
            ("without answers", Link::lose_answers),
        ] {
            cause(fixture.link(server));
            let fault = format!("{server:?} {what}");
            fixture.post_burst(&ingress, &fault).await;

            // Lost bytes left a hole in the stream, so the connection must be made again.
            fixture.link(server).cut();
            fixture.link(server).restore();
            fixture.wait_until_ready(&ingress).await;
        }
    }

    for server in [Postgres, Redis, RabbitMq] {
        fixture.servers.freeze(server).await;
    }
    fixture.post_burst(&ingress, "all frozen").await;
    let started_frozen = fixture.ingress_like(&ingress).await;
    fixture
        .post_burst(&started_frozen, "all frozen at the start")
        .await;

    for server in [Redis, Postgres, RabbitMq] {
        fixture.servers.kill(server).await;
        let fault = format!("{server:?} killed, the others frozen or killed");
        fixture.post_burst(&ingress, &fault).await;
    }
    let started_alone = fixture.ingress_like(&ingress).await;
    fixture
        .post_burst(&started_alone, "all gone at the start")
        .await;

    for server in [Postgres, Redis, RabbitMq] {
        fixture.servers.restart(server).await;
    }
    for ingress in [&ingress, &started_frozen, &started_alone] {
        fixture.wait_until_ready(ingress).await;
        fixture.post_burst(ingress, "all back").await;
    }
    fixture.assert_each_is_one_payment().await;
}
