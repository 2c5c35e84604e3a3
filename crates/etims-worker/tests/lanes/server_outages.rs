//! Outages of Postgres and RabbitMQ, and workers that die again and again (architecture §9, law 4).

use risiti_testkit::{Link, amqp_url, eventually, http_status};

use crate::fixture::{BOUND, Fault, Fixture, sale_calls, terminate};

#[tokio::test]
async fn repeatedly_cut_database_connections_lose_nothing() {
    let fixture = Fixture::with("legacy", &["--latency", "20ms"]).await;
    let devices = fixture.add_devices(0..6).await;
    fixture
        .simulator
        .fail(sale_calls().randomly(0.2, 1), Fault::AcceptThenDrop)
        .await;
    fixture.add_sales_to_all(&devices, 15).await;
    let worker = fixture.worker().start();
    for filed in [5, 20, 40, 60] {
        fixture.until_filed_at_least(filed).await;
        fixture.database.cut_connections().await;
    }
    fixture.until_filed(90).await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn nothing_is_sent_while_the_database_link_is_frozen() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let link = Link::to(fixture.database.url()).await;
    let mut worker = fixture.worker().env("DATABASE_URL", link.url()).start();
    let ops = worker.address_after("ops listener on ").await;
    fixture.add_sales(&device, 1).await;
    fixture.until_filed(1).await;
    link.freeze();
    eventually("the worker is not ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    fixture.add_sales(&device, 1).await;
    assert_eq!(fixture.simulator.stats().await["calls"]["sale"], 1);
    // What a frozen link holds would arrive when it thaws. After a real partition it is lost, as
    // after a cut.
    link.cut();
    link.restore();
    fixture.until_filed(2).await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_worker_with_frozen_servers_ends_within_its_grace() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let database = Link::to(fixture.database.url()).await;
    let broker = Link::to(&amqp_url()).await;
    let worker = fixture
        .worker()
        .env("DATABASE_URL", database.url())
        .env("AMQP_URL", broker.url());
    let mut worker = worker.env("RISITI_GRACE", "300ms").start();
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::Slow { ms: 20_000 })
        .await;
    let sales = fixture.add_sales(&device, 1).await;
    fixture.until_state(sales[0], "submitting").await;
    database.freeze();
    broker.freeze();
    worker.terminate();
    assert!(worker.exit(BOUND).await.success(), "{}", worker.log());

    let worker = fixture.worker().start();
    fixture.until_filed(1).await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_dead_letter_waits_for_the_broker() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    let link = Link::to(&amqp_url()).await;
    let mut worker = fixture
        .worker()
        .env("AMQP_URL", link.url())
        .env("RISITI_PUBLISH_TIMEOUT", "500ms")
        .start();
    let ops = worker.address_after("ops listener on ").await;
    // The call is slow enough that the broker is gone before the refusal arrives.
    fixture
        .simulator
        .fail(sale_calls().amount("116"), Fault::code("910", "<x>"))
        .await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::Slow { ms: 1_500 })
        .await;
    let sales = fixture.add_sales(&device, 2).await;
    fixture.until_state(sales[0], "submitting").await;
    link.cut();
    let refused = "SELECT count(*) FROM invoices WHERE refused_at IS NOT NULL";
    fixture.until_one("the refusal is stored", refused).await;
    eventually("the worker is not ready", BOUND, async || {
        (http_status(ops, "/readyz").await? == 503).then_some(())
    })
    .await;
    assert_eq!(
        fixture.invoice_state(sales[0]).await,
        "submitting",
        "it is dead without its message"
    );
    assert_eq!(fixture.count("SELECT count(*) FROM dead_letters").await, 0);
    link.restore();
    fixture.until_state(sales[0], "dead").await;
    fixture.until_state(sales[1], "success").await;
    assert_eq!(
        fixture.simulator.stats().await["calls"]["sale"],
        2,
        "a stored refusal was sent again"
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn repeatedly_killed_workers_lose_and_double_nothing() {
    let fixture = Fixture::with("legacy", &["--latency", "40ms"]).await;
    let devices = fixture.add_devices(0..8).await;
    for (seed, fault) in [(0, Fault::AcceptThenDrop), (1, Fault::DropBeforeAccept)] {
        let calls = sale_calls().randomly(0.1, seed);
        fixture.simulator.fail(calls, fault).await;
    }
    fixture.add_sales_to_all(&devices, 25).await;
    for kill in 0..4 {
        let mut dying = fixture.worker().start();
        let before = fixture.count_in_state("success").await;
        fixture.until_filed_at_least(before + 15 + kill).await;
        dying.kill();
        dying.exit(BOUND).await;
        // The leases of the dead worker end at once. Another test waits for them to expire.
        fixture
            .sql("UPDATE lane_leases SET lease_until = now(); DELETE FROM etims_processes")
            .await;
    }
    let worker = fixture.worker().start();
    fixture.until_filed(200).await;
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}
