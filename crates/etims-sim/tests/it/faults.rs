//! Each fault, as the client meets it and as the records show it.

use std::time::Duration;

use etims_sim::Dialect;
use serde_json::{Value, json};

use crate::fixture::{Answer, PIN, Sim, json_fixture, sale, send, shape, wait_until, with_changes};

/// Whether the connection was cut before any byte of the answer.
fn was_cut(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_connect() && error.is_request()
}

#[tokio::test]
async fn accept_then_drop_files_the_sale_and_loses_the_answer() {
    for dialect in [Dialect::Legacy, Dialect::Gateway, Dialect::Vscu] {
        let sim = Sim::start(dialect).await;
        sim.add_fault(json!({"match": {"call": "sale", "count": 1}, "fault": "accept_then_drop"}))
            .await;
        let error = sim.sell_without_answer(&sale(1)).await;
        assert!(was_cut(&error), "{error:?}");
        assert_eq!(sim.accepted_sales().await.len(), 1);
        assert_eq!(sim.sell(&sale(2)).await.code(), "000", "the rule is spent");
        assert_eq!(sim.stats().await["faults"]["accept_then_drop"], 1);
    }
}

#[tokio::test]
async fn drop_before_accept_files_nothing() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"call": "sale", "count": 1}, "fault": "drop_before_accept"}))
        .await;
    assert!(was_cut(&sim.sell_without_answer(&sale(1)).await));
    assert_eq!(sim.accepted_sales().await.len(), 0);
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn late_delivery_is_accepted_after_the_connection_is_cut() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.add_fault(json!({"match": {"count": 1}, "fault": {"deliver_late": {"ms": 50}}}))
        .await;
    assert!(was_cut(&sim.sell_without_answer(&sale(1)).await));
    wait_until("the late delivery", || async {
        sim.accepted_sales().await.len() == 1
    })
    .await;
    assert_eq!(sim.accepted_sales().await[0]["late"], true);
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn refused_late_delivery_is_no_protocol_error() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"count": 1}, "fault": {"deliver_late": {"ms": 2000}}}))
        .await;
    sim.sell_without_answer(&sale(1)).await;
    let other = with_changes(sale(1), &[("/remark", json!("another"))]);
    assert_eq!(sim.sell(&other).await.code(), "000");
    wait_until("the late delivery", || async {
        sim.stats().await["late_refused"] == 1
    })
    .await;
    assert_eq!(sim.stats().await["protocol_errors"], 0);
    assert_eq!(sim.accepted_sales().await.len(), 1);
}

#[tokio::test]
async fn lagging_sale_is_hidden_for_a_number_of_look_ups() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.add_fault(json!({"match": {"count": 1}, "fault": {"lookup_lag": {"count": 2}}}))
        .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(sim.look_up(1).await.code().to_owned());
    }
    assert_eq!(codes, ["001", "001", "000", "000"]);
}

#[tokio::test]
async fn lagging_sale_is_hidden_for_a_time() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(
        json!({"match": {"remark": "invoice-1"}, "fault": {"lookup_lag": {"ms": 600_000}}}),
    )
    .await;
    sim.add_fault(json!({"match": {"remark": "invoice-2"}, "fault": {"lookup_lag": {"ms": 20}}}))
        .await;
    sim.sell(&sale(1)).await;
    sim.sell(&sale(2)).await;
    wait_until("the end of the second sale's lag", || async {
        sim.look_up(2).await.code() == "000"
    })
    .await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    let list = sim
        .post(
            "/selectTrnsSalesList",
            &json!({"lastReqDt": "20180101000000"}),
        )
        .await;
    assert_eq!(list.data()["salesList"].as_array().unwrap().len(), 1);
    assert_eq!(
        sim.accepted_sales().await.len(),
        2,
        "audits see hidden sales"
    );
}

#[tokio::test]
async fn lagging_look_up_finds_nothing() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    sim.add_fault(json!({"match": {"call": "lookup", "count": 1}, "fault": {"lookup_lag": {}}}))
        .await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn lost_answer_and_lookup_lag_can_be_combined() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.add_fault(json!({"match": {"call": "sale", "count": 1}, "fault": "accept_then_drop"}))
        .await;
    sim.add_fault(json!({"match": {"count": 1}, "fault": {"lookup_lag": {"count": 1}}}))
        .await;
    sim.sell_without_answer(&sale(1)).await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert!(sim.sell(&sale(1)).await.text().contains("expected"));
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn slow_sale_is_accepted_although_its_caller_gave_up() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(
        json!({"match": {"call": "sale", "count": 1}, "fault": {"slow": {"ms": 600_000}}}),
    )
    .await;
    let timeout = Duration::from_secs(1);
    let error = sim
        .call(sim.sale_path(), &sale(1))
        .timeout(timeout)
        .send()
        .await
        .expect_err("too slow");
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn status_fault_accepts_the_sale_only_on_demand() {
    let sim = Sim::start(Dialect::Gateway).await;
    let rule = |accept: bool| {
        let status = json!({"code": 503, "retry_after": 2, "accept": accept});
        json!({"match": {"call": "sale", "count": 1}, "fault": {"status": status}})
    };
    sim.add_fault(rule(false)).await;
    let answer = sim.call(sim.sale_path(), &sale(1)).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(answer.headers()["retry-after"].to_str().unwrap(), "2");
    assert_eq!(
        Answer::read(answer).await.body["header"]["responseCode"],
        503
    );
    assert_eq!(sim.accepted_sales().await.len(), 0);
    sim.add_fault(rule(true)).await;
    assert_eq!(sim.sell(&sale(1)).await.status, 503);
    assert_eq!(sim.accepted_sales().await.len(), 1);
}

#[tokio::test]
async fn html_fault_answers_with_a_page() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"match": {"call": "lookup"}, "fault": {"html": {}}}))
        .await;
    let answer = sim
        .call("/selectInvoiceDetails", &json!({"invcNo": 1}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(answer.text().await.unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn envelope_fault_puts_its_code_where_the_dialect_does() {
    let rule = |envelope: Value| {
        let matching = json!({"call": "sale", "count": 1});
        json!({"match": matching, "fault": {"envelope": envelope}})
    };
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(rule(
        json!({"code": "999", "message": "There is an unknown error."}),
    ))
    .await;
    let answer = sim.sell(&sale(1)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), "999");
    assert_eq!(answer.text(), "There is an unknown error.");

    let sim = Sim::start(Dialect::Gateway).await;
    sim.add_fault(rule(json!({"code": "894", "accept": true})))
        .await;
    let answer = sim.sell(&sale(1)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.code(), "894");
    assert_eq!(sim.accepted_sales().await.len(), 1);
    sim.add_fault(rule(json!({"message": "Please try again later"})))
        .await;
    let answer = sim.sell(&sale(2)).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), "Please try again later");
    assert_eq!(answer.body["responseBody"], Value::Null);
}

#[tokio::test]
async fn refusal_can_come_under_status_200() {
    let sim = Sim::start(Dialect::Gateway).await;
    let text = "Rule taxRtB failed: Tax rate mismatch. Expected: 16.00, Found: 0.0";
    let fault = json!({"refused_under_200": {"message": text}});
    sim.add_fault(json!({"match": {"call": "sale", "count": 1}, "fault": fault}))
        .await;
    let answer = sim.sell(&sale(1)).await;
    let expected = &json_fixture!("06_error_responses")["gateway_refusal_inside_http_200"];
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body["responseHeader"]["responseCode"],
        expected["body"]["responseHeader"]["responseCode"]
    );
    assert_eq!(shape(&answer.body), shape(&expected["body"]));
    assert_eq!(sim.accepted_sales().await.len(), 0);
}

#[tokio::test]
async fn expired_access_token_stays_expired() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.add_fault(json!({"match": {"count": 1}, "fault": "expired_token"}))
        .await;
    assert_eq!(sim.sell(&sale(1)).await.status, 401);
    assert_eq!(
        sim.sell(&sale(1)).await.status,
        401,
        "the token has expired for good"
    );

    let sim = sim.with_access_token().await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.stats().await["tokens_issued"], 2);
}

#[tokio::test]
async fn receipt_keys_can_end_with_a_blank() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"fault": "blank_padded_keys"})).await;
    let answer = sim.sell(&sale(1)).await;
    let expected =
        &json_fixture!("04_sales_response_variants")["legacy_padded_keys_as_in_spec_sample"];
    assert_eq!(shape(&answer.body), shape(&expected["body"]));
}

#[tokio::test]
async fn down_for_stops_every_device_and_call() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.register("01").await;
    let rule = json!({
        "match": {"device": PIN, "call": "sale", "count": 1},
        "fault": {"down_for": {"ms": 600_000, "status": 503}},
    });
    let id = sim.add_fault(rule).await;
    assert_eq!(
        sim.look_up(1).await.code(),
        "001",
        "the outage begins with the first matching call"
    );
    assert_eq!(sim.sell(&sale(1)).await.status, 503);
    assert_eq!(sim.look_up(1).await.status, 503);
    let elsewhere = with_changes(sale(1), &[("/bhfId", json!("01"))]);
    assert_eq!(sim.sell(&elsewhere).await.status, 503);
    let token = sim
        .client
        .get(sim.url("/v1/token/generate?grant_type=client_credentials"));
    let token = send(token.basic_auth("app", Some("secret"))).await;
    assert_eq!(token.status, 503);
    sim.delete(&format!("/_sim/faults/{id}")).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn host_that_went_down_once_comes_back_for_good() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"fault": {"down_for": {"ms": 1, "status": 503}}}))
        .await;
    assert_eq!(sim.look_up(1).await.status, 503);
    // Many look-ups take longer than a millisecond together.
    let mut down = 0;
    while sim.look_up(1).await.status == 503 {
        down += 1;
        assert!(down < 1_000, "it goes down again and again");
    }
    assert_eq!(sim.look_up(1).await.status, 200);
}

#[tokio::test]
async fn down_for_without_status_cuts_connections() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.add_fault(json!({"fault": {"down_for": {"ms": 600_000}}}))
        .await;
    assert!(was_cut(&sim.sell_without_answer(&sale(1)).await));
}
