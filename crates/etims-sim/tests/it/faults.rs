//! Each fault, as the client feels it and as the books show it.

use crate::support::{Answer, KEY, PIN, Sim, changed, sale, until};
use etims_sim::Dialect;
use serde_json::{Value, json};
use std::time::Duration;

fn was_cut(error: &reqwest::Error) -> bool {
    !error.is_timeout() && !error.is_connect() && error.is_request()
}

#[tokio::test]
async fn accept_then_drop_files_the_sale_and_loses_the_answer() {
    for dialect in [Dialect::Legacy, Dialect::Gateway, Dialect::Vscu] {
        let sim = Sim::of(dialect).await;
        sim.fault(json!({"match": {"call": "sale", "count": 1}, "fault": "accept_then_drop"}))
            .await;
        let error = sim.sell_in_vain(&sale(1)).await;
        assert!(was_cut(&error), "{error:?}");
        assert_eq!(sim.accepted().await.len(), 1);
        assert_eq!(sim.sell(&sale(2)).await.code(), "000", "the rule is spent");
        assert_eq!(sim.stats().await["faults"]["accept_then_drop"], 1);
    }
}

#[tokio::test]
async fn drop_before_accept_files_nothing() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"call": "sale", "count": 1}, "fault": "drop_before_accept"}))
        .await;
    assert!(was_cut(&sim.sell_in_vain(&sale(1)).await));
    assert_eq!(sim.accepted().await.len(), 0);
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn a_late_delivery_is_accepted_after_its_caller_was_cut_off() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.fault(json!({"match": {"count": 1}, "fault": {"deliver_late": {"ms": 50}}}))
        .await;
    assert!(was_cut(&sim.sell_in_vain(&sale(1)).await));
    until("the late delivery", || async {
        sim.accepted().await.len() == 1
    })
    .await;
    assert_eq!(sim.accepted().await[0]["late"], true);
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn a_late_delivery_that_comes_too_late_is_nobodys_mistake() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"count": 1}, "fault": {"deliver_late": {"ms": 2000}}}))
        .await;
    sim.sell_in_vain(&sale(1)).await;
    let other = changed(sale(1), &[("/remark", json!("another"))]);
    assert_eq!(sim.sell(&other).await.code(), "000");
    until("the late delivery", || async {
        sim.stats().await["late_refused"] == 1
    })
    .await;
    assert_eq!(sim.stats().await["protocol_errors"], 0);
    assert_eq!(sim.accepted().await.len(), 1);
}

#[tokio::test]
async fn a_lagging_sale_stays_invisible_for_some_look_ups() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.fault(json!({"match": {"count": 1}, "fault": {"lookup_lag": {"count": 2}}}))
        .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(sim.look_up(1).await.code().to_owned());
    }
    assert_eq!(codes, ["001", "001", "000", "000"]);
}

#[tokio::test]
async fn a_lagging_sale_appears_after_its_time() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"remark": "invoice-1"}, "fault": {"lookup_lag": {"ms": 600_000}}}))
        .await;
    sim.fault(json!({"match": {"remark": "invoice-2"}, "fault": {"lookup_lag": {"ms": 20}}}))
        .await;
    sim.sell(&sale(1)).await;
    sim.sell(&sale(2)).await;
    until("the second sale's appearance", || async {
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
    assert_eq!(sim.accepted().await.len(), 2, "audits see all");
}

#[tokio::test]
async fn a_look_up_itself_can_lag() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    sim.fault(json!({"match": {"call": "lookup", "count": 1}, "fault": {"lookup_lag": {}}}))
        .await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn a_lost_answer_and_a_lagging_look_up_go_together() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.fault(json!({"match": {"call": "sale", "count": 1}, "fault": "accept_then_drop"}))
        .await;
    sim.fault(json!({"match": {"count": 1}, "fault": {"lookup_lag": {"count": 1}}}))
        .await;
    sim.sell_in_vain(&sale(1)).await;
    assert_eq!(sim.look_up(1).await.code(), "001");
    assert!(sim.sell(&sale(1)).await.text().contains("expected"));
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn slow_is_processed_at_once_whoever_gives_up() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"call": "sale", "count": 1}, "fault": {"slow": {"ms": 600_000}}}))
        .await;
    let patience = Duration::from_secs(1);
    let error = sim
        .call(sim.sale_path(), &sale(1))
        .timeout(patience)
        .send()
        .await
        .expect_err("too slow");
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(sim.look_up(1).await.code(), "000");
}

#[tokio::test]
async fn a_status_with_and_without_accepting() {
    let sim = Sim::of(Dialect::Gateway).await;
    let rule = |accept: bool| {
        let status = json!({"code": 503, "retry_after": 2, "accept": accept});
        json!({"match": {"call": "sale", "count": 1}, "fault": {"status": status}})
    };
    sim.fault(rule(false)).await;
    let answer = sim.call(sim.sale_path(), &sale(1)).send().await.unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].to_str().unwrap()
        ),
        (503, "2")
    );
    assert_eq!(
        Answer::read(answer).await.body["header"]["responseCode"],
        503
    );
    assert_eq!(sim.accepted().await.len(), 0);
    sim.fault(rule(true)).await;
    assert_eq!(sim.sell(&sale(1)).await.status, 503);
    assert_eq!(sim.accepted().await.len(), 1);
}

#[tokio::test]
async fn html_is_no_answer() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"match": {"call": "lookup"}, "fault": {"html": {}}}))
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
async fn envelopes_carry_any_code_where_the_dialect_has_it() {
    let rule = |fields: Value| json!({"match": {"call": "sale", "count": 1}, "fault": {"envelope": fields}});
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(rule(
        json!({"code": "999", "message": "There is an unknown error."}),
    ))
    .await;
    let answer = sim.sell(&sale(1)).await;
    assert_eq!(
        (answer.status, answer.code(), answer.text()),
        (200, "999", "There is an unknown error.")
    );
    let sim = Sim::of(Dialect::Gateway).await;
    sim.fault(rule(json!({"code": "894", "accept": true})))
        .await;
    let answer = sim.sell(&sale(1)).await;
    assert_eq!((answer.status, answer.code()), (400, "894"));
    assert_eq!(sim.accepted().await.len(), 1);
    sim.fault(rule(json!({"message": "Please try again later"})))
        .await;
    let answer = sim.sell(&sale(2)).await;
    assert_eq!(
        (answer.status, answer.text()),
        (400, "Please try again later")
    );
    assert_eq!(answer.body["responseBody"], Value::Null);
}

#[tokio::test]
async fn a_refusal_can_come_under_200() {
    let sim = Sim::of(Dialect::Gateway).await;
    let text = "Rule taxRtB failed: Tax rate mismatch. Expected: 16.00, Found: 0.0";
    sim.fault(
        json!({"match": {"call": "sale", "count": 1}, "fault": {"refused_under_200": {"message": text}}}),
    )
    .await;
    let answer = sim.sell(&sale(1)).await;
    let expected =
        &crate::support::fixture!("06_error_responses")["gateway_refusal_inside_http_200"];
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body["responseHeader"]["responseCode"],
        expected["body"]["responseHeader"]["responseCode"]
    );
    assert_eq!(
        crate::support::shape(&answer.body),
        crate::support::shape(&expected["body"])
    );
    assert_eq!(sim.accepted().await.len(), 0);
}

#[tokio::test]
async fn an_expired_token_stays_expired() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.fault(json!({"match": {"count": 1}, "fault": "expired_token"}))
        .await;
    assert_eq!(sim.sell(&sale(1)).await.status, 401);
    assert_eq!(
        sim.sell(&sale(1)).await.status,
        401,
        "it was this token's end"
    );
    let sim = sim.with_token().await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.stats().await["tokens_issued"], 2);
}

#[tokio::test]
async fn keys_can_be_padded_as_in_the_specification() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"fault": "blank_padded_keys"})).await;
    let answer = sim.sell(&sale(1)).await;
    let expected = &crate::support::fixture!("04_sales_response_variants")["legacy_padded_keys_as_in_spec_sample"];
    assert_eq!(
        crate::support::shape(&answer.body),
        crate::support::shape(&expected["body"])
    );
}

#[tokio::test]
async fn an_outage_takes_every_device_and_every_call() {
    let sim = Sim::of(Dialect::Gateway).await;
    sim.register("01").await;
    let rule = json!({"match": {"device": PIN, "call": "sale", "count": 1},
                      "fault": {"down_for": {"ms": 600_000, "status": 503}}});
    let id = sim.fault(rule).await;
    assert_eq!(
        sim.look_up(1).await.code(),
        "001",
        "it begins with the first matching call"
    );
    assert_eq!(sim.sell(&sale(1)).await.status, 503);
    assert_eq!(sim.look_up(1).await.status, 503);
    let elsewhere = changed(sale(1), &[("/bhfId", json!("01"))]);
    assert_eq!(sim.sell(&elsewhere).await.status, 503);
    let token = sim
        .client
        .get(sim.url("/v1/token/generate?grant_type=client_credentials"));
    assert_eq!(
        token
            .basic_auth("app", Some("secret"))
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    sim.delete(&format!("/_sim/faults/{id}")).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn an_outage_without_a_status_cuts_connections() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.fault(json!({"fault": {"down_for": {"ms": 600_000}}}))
        .await;
    assert!(was_cut(&sim.sell_in_vain(&sale(1)).await));
}

#[tokio::test]
async fn rules_can_pick_single_invoices() {
    let sim = Sim::of(Dialect::Legacy).await;
    let fault = json!({"envelope": {"code": "910"}});
    for picked in [
        json!({"remark": "invoice-2"}),
        json!({"trader_number": "T-3"}),
        json!({"amount": "580.00"}),
    ] {
        sim.fault(json!({"match": picked, "fault": fault})).await;
    }
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(sim.sell(&sale(2)).await.code(), "910");
    assert_eq!(
        sim.sell(&changed(
            sale(2),
            &[("/trdInvcNo", json!("T-3")), ("/remark", json!("x"))]
        ))
        .await
        .code(),
        "910"
    );
    let note = crate::support::fixture!("08_credit_note_request");
    assert_eq!(sim.sell(&note).await.code(), "910");
    assert_eq!(
        sim.look_up(1).await.code(),
        "000",
        "such rules are about sales"
    );
}

#[tokio::test]
async fn skip_nth_and_count_choose_which_calls_are_hit() {
    let sim = Sim::of(Dialect::Legacy).await;
    let matching = json!({"call": "lookup", "skip": 1, "every_nth": 2, "count": 2});
    sim.fault(json!({"match": matching, "fault": {"status": {"code": 502}}}))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(sim.look_up(1).await.status);
    }
    assert_eq!(statuses, [200, 200, 502, 200, 502, 200, 200, 200]);
    let rule = &sim.get("/_sim/faults").await["faults"][0];
    assert_eq!(
        (&rule["hits"], &rule["match"]["every_nth"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn the_same_seed_hits_the_same_calls() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let sim = Sim::of(Dialect::Legacy).await;
        let matching = json!({"call": "lookup", "probability": 0.5, "seed": seed});
        sim.fault(json!({"match": matching, "fault": {"status": {"code": 502}}}))
            .await;
        let mut statuses = Vec::new();
        for _ in 0..24 {
            statuses.push(sim.look_up(1).await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].contains(&502) && runs[0].contains(&200));
}

#[tokio::test]
async fn a_rule_for_one_device_leaves_the_others_alone() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.control(
        "/_sim/devices",
        &json!({"tin": PIN, "bhfId": "01", "dvcSrlNo": "S", "cmcKey": KEY}),
    )
    .await;
    sim.fault(
        json!({"match": {"device": format!("{PIN}/01")}, "fault": {"status": {"code": 502}}}),
    )
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    assert_eq!(
        sim.sell(&changed(sale(1), &[("/bhfId", json!("01"))]))
            .await
            .status,
        502
    );
}

#[tokio::test]
async fn rules_that_cannot_be_meant_are_refused() {
    let sim = Sim::of(Dialect::Legacy).await;
    for rule in [
        json!({}),
        json!({"fault": "no_such_fault"}),
        json!({"fault": "expired_token"}),
        json!({"fault": {"lookup_lag": {}}}),
        json!({"fault": {"status": {"code": 99}}}),
        json!({"fault": {"slow": {"seconds": 1}}}),
        json!({"match": {"probability": 2}, "fault": "accept_then_drop"}),
        json!({"match": {"every_nth": 0}, "fault": "accept_then_drop"}),
        json!({"match": {"call": "no_such_call"}, "fault": "accept_then_drop"}),
        json!({"match": {"nonsense": 1}, "fault": "accept_then_drop"}),
    ] {
        assert_eq!(
            sim.control("/_sim/faults", &rule).await.status,
            400,
            "{rule}"
        );
    }
    assert_eq!(sim.get("/_sim/faults").await["faults"], json!([]));
}
