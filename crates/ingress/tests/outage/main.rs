//! Every webhook is answered with 200 within 3 s of its last byte, whatever is frozen, gone or silent behind ingress
//! (protocol A5): what the broker cannot confirm is spooled. Each is in the books once. On servers of its own, in one
//! test: a boot of RabbitMQ is what this costs.
#![expect(
    clippy::unwrap_used,
    reason = "a stage that cannot be set fails its test"
)]

mod stage;

use risiti_testkit::Server::{Postgres, RabbitMq, Redis};
use risiti_testkit::{Link, Program};
use stage::Stage;

#[tokio::test]
async fn every_webhook_is_answered_within_three_seconds() {
    let mut stage = Stage::set().await;
    let ingress = stage.ingress().await;
    // Ingress has nothing to do with the tax authority.
    let sim = Program::built("etims-sim")
        .args(["--listen", "127.0.0.1:0"])
        .start();
    sim.freeze();
    stage.storm(&ingress, "nothing").await;

    for server in [Postgres, Redis, RabbitMq] {
        stage.servers.freeze(server).await;
        stage.storm(&ingress, &format!("{server:?} frozen")).await;
        stage.servers.thaw(server).await;
        stage.ready(&ingress).await;

        for (what, fault) in [
            ("cut", Link::cut as fn(&Link)),
            ("silent", Link::freeze),
            ("without answers", Link::lose_answers),
        ] {
            fault(stage.link(server));
            stage.storm(&ingress, &format!("{server:?} {what}")).await;
            // What was lost left a hole in the stream.
            stage.link(server).cut();
            stage.link(server).restore();
            stage.ready(&ingress).await;
        }
    }

    for server in [Postgres, Redis, RabbitMq] {
        stage.servers.freeze(server).await;
    }
    stage.storm(&ingress, "all frozen").await;
    let booted = stage.ingress_like(&ingress).await;
    stage.storm(&booted, "all frozen at the start").await;

    for server in [Redis, Postgres, RabbitMq] {
        stage.servers.kill(server).await;
        stage
            .storm(
                &ingress,
                &format!("{server:?} killed, the others frozen or killed"),
            )
            .await;
    }
    let started = stage.ingress_like(&ingress).await;
    stage.storm(&started, "all gone at the start").await;

    for server in [Postgres, Redis, RabbitMq] {
        stage.servers.restart(server).await;
    }
    for ingress in [&ingress, &booted, &started] {
        stage.ready(ingress).await;
        stage.storm(ingress, "all back").await;
    }
    stage.audit().await;
}
