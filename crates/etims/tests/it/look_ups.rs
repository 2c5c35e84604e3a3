//! Asking KRA what it has under a number (protocol D8).

use risiti_domain::{Dialect, InvoiceKind};
use risiti_etims::{Client, HaltReason, LookUpOutcome, Receipt};
use serde_json::{Value, json};

use crate::fake_host::{FakeHost, Reply};
use crate::fixture::{facts, profile, test_settings};

const INVOICE: &str = "0192f3c4-5d6e-7a8b-9c0d-1e2f3a4b5c6d";

/// Looks number 1 up at a legacy host that gives this answer.
async fn look_up(status: u16, body: Value) -> LookUpOutcome {
    let server = FakeHost::start(move |_| {
        let body = body.to_string();
        async move { Reply::Answer(status, "", body) }
    })
    .await;
    let device = profile(Dialect::Legacy, &format!("http://{}", server.address));
    let outcome = Client::new(test_settings())
        .unwrap()
        .look_up(&device, 1)
        .await;
    let request: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(
        request,
        facts("07_invoice_details_probe.json")["request"]["body"]
    );
    assert_eq!(server.requests()[0].target, "/selectInvoiceDetails");
    outcome
}

fn found() -> Value {
    facts("07_invoice_details_probe.json")["found"]["body"].clone()
}

#[tokio::test]
async fn a_stored_sale_is_found() {
    let mut body = found();
    body["data"]["salesList"][0]["remark"] = json!(format!(" {INVOICE} "));
    let LookUpOutcome::Found(sale) = look_up(200, body).await else {
        panic!()
    };
    assert_eq!(sale.invoice_id(), INVOICE.parse().ok());
    assert_eq!(
        (sale.invoice_no, sale.kind, sale.original_invoice_no),
        (1, Some(InvoiceKind::Sale), None)
    );
    assert_eq!(sale.total, "1160".parse().ok());
    assert_eq!(
        sale.receipt,
        Receipt {
            receipt_no: 1,
            total_receipt_no: Some(1),
            signature: Some("ABCD2345EFGH67IJ".to_owned()),
            internal_data: Some("KLMN2345OPQR67STUV2345WXYZ".to_owned()),
            control_unit_id: Some("KRACU0100000001".to_owned()),
            issued_at: "2026-03-05T11:15:02Z".parse().ok(),
            buyer_name: None,
            buyer_pin: None,
        }
    );
}

#[tokio::test]
async fn a_foreign_sale_names_no_invoice_of_ours() {
    let LookUpOutcome::Found(sale) = look_up(200, found()).await else {
        panic!()
    };
    assert_eq!(
        (sale.remark.as_deref(), sale.invoice_id()),
        (Some("TILL1-000001"), None)
    );
    assert_eq!(sale.trader_number.as_deref(), Some("TILL1-000001"));
}

#[tokio::test]
async fn the_sellers_number_names_no_buyer() {
    let mut body = found();
    let sale = &mut body["data"]["salesList"][0];
    sale["remark"] = json!("paid by 0708374149");
    let LookUpOutcome::Found(found) = look_up(200, body.clone()).await else {
        panic!()
    };
    assert_eq!(found.trader_number, None);

    body["data"]["salesList"][0]["trdInvcNo"] = json!("TILL-9");
    let LookUpOutcome::Found(found) = look_up(200, body).await else {
        panic!()
    };
    assert_eq!(found.trader_number.as_deref(), Some("TILL-9"));
}

#[tokio::test]
async fn nothing_found_reads_as_absent_in_both_envelopes() {
    for case in ["not_found_legacy", "not_found_gateway"] {
        let case = &facts("07_invoice_details_probe.json")[case];
        let status = case["http_status"].as_u64().unwrap() as u16;
        let outcome = look_up(status, case["body"].clone()).await;
        assert!(matches!(outcome, LookUpOutcome::Absent(_)), "{outcome:?}");
    }
    for (status, body) in [
        (200, json!({"resultCd": "000", "data": {"salesList": []}})),
        (
            404,
            json!({"responseBody": {"resultCd": "001", "resultMsg": "There is no search result"}}),
        ),
    ] {
        let outcome = look_up(status, body).await;
        assert!(matches!(outcome, LookUpOutcome::Absent(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn unusable_answers_read_as_no_answer() {
    let mut other_number = found();
    other_number["data"]["salesList"][0]["invcNo"] = json!(2);
    let mut unsigned = found();
    unsigned["data"]["salesList"][0]["receipt"] = Value::Null;
    for (status, body) in [
        (200, other_number),
        (200, unsigned),
        (200, json!({"resultCd": "000", "data": null})),
        (
            200,
            json!({"resultCd": "999", "resultMsg": "There is an unknown error"}),
        ),
        (
            200,
            json!({"resultCd": "990", "resultMsg": "Too many views"}),
        ),
        (200, json!([])),
        (503, json!({"resultCd": "001"})),
        (502, found()),
        (429, json!({})),
    ] {
        let outcome = look_up(status, body.clone()).await;
        assert!(
            matches!(outcome, LookUpOutcome::NoAnswer(_)),
            "{status} {body}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_single_sale_may_lack_its_number() {
    let mut body = found();
    body["data"]["salesList"][0]
        .as_object_mut()
        .unwrap()
        .remove("invcNo");
    let outcome = look_up(200, body.clone()).await;
    assert!(matches!(outcome, LookUpOutcome::Found(_)), "{outcome:?}");
    let sale = body["data"]["salesList"][0].clone();
    body["data"]["salesList"] = json!([sale, sale]);
    let outcome = look_up(200, body).await;
    assert!(matches!(outcome, LookUpOutcome::NoAnswer(_)), "{outcome:?}");
}

#[tokio::test]
async fn too_many_views_ask_for_a_long_pause() {
    let LookUpOutcome::NoAnswer(answer) = look_up(200, json!({"resultCd": "990"})).await else {
        panic!()
    };
    assert_eq!(
        answer.retry_after,
        Some(std::time::Duration::from_secs(300))
    );
}

#[tokio::test]
async fn a_device_that_is_not_valid_halts() {
    let outcome = look_up(
        200,
        facts("06_error_responses.json")["legacy_device_not_valid"]["body"].clone(),
    )
    .await;
    assert!(
        matches!(
            outcome,
            LookUpOutcome::Halt {
                reason: HaltReason::Device,
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn both_spellings_of_the_gateways_path_are_tried() {
    for there in ["/selectInvoiceDetail", "/selectInvoiceDetails"] {
        let server = FakeHost::start(move |request| async move {
            let body = match request.target.as_str() {
                target if target.starts_with("/v1/token") => {
                    json!({"access_token": "t", "expires_in": 9})
                }
                target if target.ends_with(there) => found(),
                _ => return Reply::Answer(404, "", String::new()),
            };
            Reply::Answer(200, "", body.to_string())
        })
        .await;
        let device = profile(Dialect::Gateway, &format!("http://{}/api", server.address));
        let outcome = Client::new(test_settings())
            .unwrap()
            .look_up(&device, 1)
            .await;
        assert!(
            matches!(outcome, LookUpOutcome::Found(_)),
            "{there}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_address_halts() {
    let server = FakeHost::start(|request| async move {
        match request.method.as_str() {
            "GET" => Reply::Answer(200, "", json!({"access_token": "t"}).to_string()),
            _ => Reply::Answer(404, "", "<html>".to_owned()),
        }
    })
    .await;
    for dialect in [Dialect::Legacy, Dialect::Gateway] {
        let device = profile(dialect, &format!("http://{}", server.address));
        let outcome = Client::new(test_settings())
            .unwrap()
            .look_up(&device, 1)
            .await;
        assert!(
            matches!(
                outcome,
                LookUpOutcome::Halt {
                    reason: HaltReason::Address,
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_vscu_is_not_asked() {
    let server = FakeHost::start(|_| async { Reply::Drop }).await;
    let device = profile(Dialect::Vscu, &format!("http://{}", server.address));
    let outcome = Client::new(test_settings())
        .unwrap()
        .look_up(&device, 1)
        .await;
    assert_eq!(outcome, LookUpOutcome::Unsupported);
    assert_eq!(server.connections(), 0);
}
