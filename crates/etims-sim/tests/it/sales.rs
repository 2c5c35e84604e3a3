//! Right sales: how they are answered and found.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{Sim, json_fixture, sale, send, shape, with_changes};

#[tokio::test]
async fn legacy_answer_has_the_documented_shape() {
    let sim = Sim::start(Dialect::Legacy).await;
    let answer = sim
        .sell(&json_fixture!("02_sales_request_mpesa_1160"))
        .await;
    let expected = json_fixture!("03_sales_response_success");
    assert_eq!(answer.status, 200);
    assert_eq!(shape(&answer.body), shape(&expected));
    assert_eq!(answer.data()["curRcptNo"], "1");
    assert_eq!(answer.body["resultMsg"], expected["resultMsg"]);
}

#[tokio::test]
async fn gateway_wraps_the_answer() {
    let sim = Sim::start(Dialect::Gateway).await;
    let answer = sim
        .sell(&json_fixture!("02_sales_request_mpesa_1160"))
        .await;
    let expected = &json_fixture!("04_sales_response_variants")["gateway_wrapped"]["body"];
    assert_eq!(answer.status, 200);
    assert_eq!(shape(&answer.body), shape(expected));
    assert_eq!(answer.body["responseHeader"]["debugMessage"], "Successful");
}

#[tokio::test]
async fn vscu_answer_has_its_own_field_names() {
    let sim = Sim::start(Dialect::Vscu).await;
    let answer = sim
        .sell(&json_fixture!("02_sales_request_mpesa_1160"))
        .await;
    let expected = &json_fixture!("04_sales_response_variants")["vscu_save_sales"]["body"];
    assert_eq!(shape(&answer.body), shape(expected));
}

#[tokio::test]
async fn signatures_have_the_form_of_kras() {
    let sim = Sim::start(Dialect::Legacy).await;
    let answer = sim.sell(&sale(1)).await;
    let base32 = |field: &str| {
        let text = answer.data()[field].as_str().unwrap();
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)),
            "{text}"
        );
        text.len()
    };
    assert_eq!(base32("rcptSign"), 16);
    assert_eq!(base32("intrlData"), 26);
}

#[tokio::test]
async fn gateway_accepts_the_legacy_path_of_a_sale() {
    let sim = Sim::start(Dialect::Gateway).await;
    assert_eq!(sim.post("/saveTrnsSalesOsdc", &sale(1)).await.code(), "000");
}

#[tokio::test]
async fn look_up_finds_the_sale_as_it_was_sent() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.sell(&json_fixture!("02_sales_request_mpesa_1160"))
        .await;
    let answer = sim.look_up(1).await;
    let mut expected = json_fixture!("07_invoice_details_probe")["found"]["body"].take();
    let found = &answer.data()["salesList"][0];
    assert_eq!(shape(&answer.body), shape(&expected));
    // All but the server's own values is what was sent.
    for field in ["rcptPbctDt", "sdcDateTime", "intrlData", "rcptSign"] {
        *expected
            .pointer_mut(&format!("/data/salesList/0/receipt/{field}"))
            .unwrap() = found["receipt"][field].clone();
    }
    assert_eq!(found, &expected["data"]["salesList"][0]);
}

#[tokio::test]
async fn look_up_has_the_receipt_of_the_sale() {
    let sim = Sim::start(Dialect::Gateway).await;
    let answered = sim.sell(&sale(1)).await;
    let found = sim.look_up(1).await;
    let receipt = &found.data()["salesList"][0]["receipt"];
    for field in ["curRcptNo", "totRcptNo", "rcptSign", "intrlData"] {
        assert_eq!(receipt[field], answered.data()[field], "{field}");
    }
    assert_eq!(found.data()["salesList"][0]["remark"], "invoice-1");
    assert_eq!(found.body["responseHeader"]["responseCode"], 200);
}

#[tokio::test]
async fn look_up_repeats_amounts_digit_by_digit() {
    let sim = Sim::start(Dialect::Legacy).await;
    let body = sale(1)
        .to_string()
        .replace("1160", "1160.00")
        .replace(":1000,", ":1000.00,");
    let sent: Value = serde_json::from_str(&body).unwrap();
    let request = sim.call(sim.sale_path(), &sent).body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let found = sim
        .call("/selectInvoiceDetails", &json!({"invcNo": "1"}))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        found.contains("\"totAmt\":1160.00,") && found.contains("\"totTaxblAmt\":1000.00,"),
        "{found}"
    );
    assert_eq!(sim.accepted_sales().await[0]["totAmt"], "1160.00");
}

#[tokio::test]
async fn look_up_of_an_unknown_number_finds_nothing() {
    let probes = json_fixture!("07_invoice_details_probe");
    for (dialect, case) in [
        (Dialect::Legacy, "not_found_legacy"),
        (Dialect::Gateway, "not_found_gateway"),
    ] {
        let sim = Sim::start(dialect).await;
        let answer = sim.look_up(1).await;
        assert_eq!(answer.status, probes[case]["http_status"], "{case}");
        assert_eq!(shape(&answer.body), shape(&probes[case]["body"]), "{case}");
        assert_eq!(answer.code(), "001");
    }
}

#[tokio::test]
async fn gateway_accepts_both_look_up_paths() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.sell(&sale(1)).await;
    for path in [
        "/selectInvoiceDetail",
        "/etims-oscu/api/v1/selectInvoiceDetails",
    ] {
        assert_eq!(
            sim.post(path, &json!({"invcNo": 1})).await.code(),
            "000",
            "{path}"
        );
    }
}

#[tokio::test]
async fn sales_list_has_sales_since_the_given_time() {
    let sim = Sim::start(Dialect::Legacy).await;
    let list = |since: &str| sim.call("/selectTrnsSalesList", &json!({ "lastReqDt": since }));
    let empty = send(list("20180101000000")).await;
    assert_eq!(empty.code(), "001");
    sim.sell(&sale(1)).await;
    sim.sell(&sale(2)).await;
    let all = send(list("20180101000000")).await;
    let numbers: Vec<_> = all.data()["salesList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["invcNo"].clone())
        .collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn code_list_has_the_configured_rates() {
    let sim = Sim::start(Dialect::Gateway).await;
    let answer = sim
        .post("/selectCodeList", &json!({"lastReqDt": "20180101000000"}))
        .await;
    let classes = answer.data()["clsList"].as_array().unwrap();
    let tax = classes.iter().find(|class| class["cdCls"] == "04").unwrap();
    let rate = |code: &str| {
        let details = tax["dtlList"].as_array().unwrap();
        details.iter().find(|detail| detail["cd"] == code).unwrap()["userDfnCd1"].clone()
    };
    assert_eq!(rate("B"), json!("16"));
    assert_eq!(rate("E"), json!("8"));
    assert_eq!(sim.post("/selectCodeList", &json!({})).await.status, 400);
}

#[tokio::test]
async fn legacy_accepts_prices_net_of_vat() {
    let net = [
        ("/itemList/0/prc", json!(500)),
        ("/itemList/0/splyAmt", json!(1000)),
        ("/itemList/0/pkg", json!(2)),
    ];
    let sim = Sim::start(Dialect::Legacy).await;
    assert_eq!(sim.sell(&with_changes(sale(1), &net)).await.code(), "000");
}

#[tokio::test]
async fn each_tax_type_is_split_by_its_rate() {
    let sim = Sim::start(Dialect::Gateway).await;
    // KES 116.00 of each type, header and line.
    let rates = [
        ("A", 116.0, 0.0),
        ("B", 100.0, 16.0),
        ("C", 116.0, 0.0),
        ("D", 116.0, 0.0),
        ("E", 107.41, 8.59),
    ];
    for ((name, taxable, tax), number) in rates.into_iter().zip(1..) {
        let taxable_field = format!("/taxblAmt{name}");
        let tax_field = format!("/taxAmt{name}");
        let zero = [("/taxblAmtB", json!(0)), ("/taxAmtB", json!(0))];
        let document = with_changes(sale(number), &zero);
        let document = with_changes(
            document,
            &[
                (taxable_field.as_str(), json!(taxable)),
                (tax_field.as_str(), json!(tax)),
                ("/totTaxblAmt", json!(taxable)),
                ("/totTaxAmt", json!(tax)),
                ("/totAmt", json!(116)),
                ("/itemList/0/taxTyCd", json!(name)),
                ("/itemList/0/taxblAmt", json!(taxable)),
                ("/itemList/0/taxAmt", json!(tax)),
                ("/itemList/0/totAmt", json!(116)),
                ("/itemList/0/splyAmt", json!(116)),
                ("/itemList/0/prc", json!(58)),
            ],
        );
        let answer = sim.sell(&document).await;
        assert_eq!(answer.code(), "000", "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn strict_trader_numbers_come_once() {
    let sim = Sim::start_with(Config {
        strict_trader_numbers: true,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim.expect_refusal(&sale(2), &[], "already in use").await;
    let another = with_changes(sale(2), &[("/trdInvcNo", json!("another"))]);
    assert_eq!(sim.sell(&another).await.code(), "000");
}
