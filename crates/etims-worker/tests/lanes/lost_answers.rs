//! Lost answers and lost requests, which look the same from here (protocol D7, D8).

use crate::fixture::{Fault, Fixture, any_call, look_up_calls, sale_calls, terminate};

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_adopted() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::AcceptThenDrop)
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;
    assert_eq!(
        fixture.simulator.stats().await["calls"]["sale"],
        1,
        "it was sent again"
    );
    assert_eq!(
        fixture.text("SELECT outcome FROM submissions").await,
        "unknown"
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_lost_request_is_sent_again_unchanged() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(2), Fault::DropBeforeAccept)
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture.worker().start();
    fixture.until_state(sale, "success").await;
    assert_eq!(fixture.count("SELECT count(*) FROM submissions").await, 3);
    assert_eq!(
        fixture
            .count("SELECT count(DISTINCT (body, invoice_no)) FROM submissions")
            .await,
        1
    );
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn a_number_stays_held_while_look_ups_fail() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::AcceptThenDrop)
        .await;
    fixture
        .simulator
        .fail(look_up_calls().first(3), Fault::status(502))
        .await;
    let sales = fixture.add_sales(&device, 2).await;
    let worker = fixture.worker().start();
    fixture.until_filed(2).await;
    assert_eq!(fixture.invoice_number(sales[0]).await, 1);
    assert_eq!(fixture.simulator.stats().await["calls"]["sale"], 2);
    fixture.assert_ledger_matches_kra().await;
    terminate(worker).await;
}

#[tokio::test]
async fn all_faults_at_once_lose_and_double_nothing() {
    for dialect in ["legacy", "gateway"] {
        let fixture = Fixture::with(dialect, &[]).await;
        let devices = fixture.add_devices(0..4).await;
        let faults = [
            (sale_calls(), Fault::AcceptThenDrop),
            (sale_calls(), Fault::DropBeforeAccept),
            (
                sale_calls(),
                Fault::Status {
                    code: 503,
                    accept: true,
                },
            ),
            (sale_calls(), Fault::Html { accept: true }),
            (sale_calls(), Fault::DeliverLate { ms: 300 }),
            (sale_calls(), Fault::hidden_from_look_ups(2)),
            (look_up_calls(), Fault::status(504)),
            (any_call(), Fault::Slow { ms: 50 }),
        ];
        for (seed, (calls, fault)) in (0..).zip(faults) {
            let calls = calls.randomly(0.12, seed);
            fixture.simulator.fail(calls, fault).await;
        }
        fixture.add_sales_to_all(&devices, 12).await;
        let workers = [fixture.worker().start(), fixture.worker().start()];
        fixture.until_filed(48).await;
        fixture.assert_ledger_matches_kra().await;
        for worker in workers {
            terminate(worker).await;
        }
    }
}
