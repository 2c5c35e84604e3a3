//! Every rule of the sales request, broken one at a time.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{Sim, json_fixture, sale, send, with_changes};

#[tokio::test]
async fn missing_header_field_is_refused() {
    let sim = Sim::start(Dialect::Gateway).await;
    let header = [
        "trdInvcNo",
        "invcNo",
        "orgInvcNo",
        "rcptTyCd",
        "salesSttsCd",
        "cfmDt",
        "salesDt",
        "totItemCnt",
        "totTaxblAmt",
        "totTaxAmt",
        "totAmt",
        "prchrAcptcYn",
        "regrId",
        "regrNm",
        "modrId",
        "modrNm",
        "receipt",
        "itemList",
    ];
    let per_type = ["taxblAmt", "taxRt", "taxAmt"].iter().flat_map(|field| {
        ["A", "B", "C", "D", "E"]
            .iter()
            .map(move |name| format!("{field}{name}"))
    });
    for field in header.into_iter().map(str::to_owned).chain(per_type) {
        sim.expect_refusal(
            &sale(1),
            &[(&format!("/{field}"), Value::Null)],
            &format!("{field} cannot be Null"),
        )
        .await;
    }
    for field in ["rcptPbctDt", "prchrAcptcYn"] {
        sim.expect_refusal(
            &sale(1),
            &[(&format!("/receipt/{field}"), Value::Null)],
            field,
        )
        .await;
    }
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn missing_line_field_is_refused() {
    let sim = Sim::start(Dialect::Gateway).await;
    let fields = [
        "itemSeq",
        "itemCd",
        "itemClsCd",
        "itemNm",
        "pkgUnitCd",
        "pkg",
        "qtyUnitCd",
        "qty",
        "prc",
        "splyAmt",
        "dcRt",
        "dcAmt",
        "taxTyCd",
        "taxblAmt",
        "taxAmt",
        "totAmt",
    ];
    for field in fields {
        let text = format!("Expected a value for {field} on item: 1");
        sim.expect_refusal(
            &sale(1),
            &[(&format!("/itemList/0/{field}"), Value::Null)],
            &text,
        )
        .await;
    }
    sim.expect_refusal(
        &sale(1),
        &[("/itemList", json!([]))],
        "itemList cannot be Null",
    )
    .await;
}

#[tokio::test]
async fn wrong_sums_and_tax_splits_are_refused() {
    let sim = Sim::start(Dialect::Gateway).await;
    let line = |field: &str| format!("/itemList/0/{field}");
    let cases: [(&str, Value, &str); 13] = [
        (
            &line("taxblAmt"),
            json!(1160),
            "Invalid taxblAmt on item: 1. Expected: 1000.00, But Found: 1160.00",
        ),
        (
            &line("taxAmt"),
            json!(160.02),
            "Invalid taxAmt on item: 1. Expected: 160.00, But Found: 160.02",
        ),
        (&line("totAmt"), json!(1100), "Invalid totAmt on item: 1"),
        (&line("splyAmt"), json!(1000), "Invalid splyAmt on item: 1"),
        (&line("prc"), json!(500), "Invalid splyAmt on item: 1"),
        (&line("dcAmt"), json!(10), "dcAmt"),
        ("/taxblAmtB", json!(999), "Invalid taxblAmtB"),
        ("/taxblAmtA", json!(1), "Invalid taxblAmtA"),
        ("/taxAmtB", json!(161), "Invalid taxAmtB"),
        ("/totTaxblAmt", json!(1160), "Invalid totTaxblAmt"),
        ("/totTaxAmt", json!(0), "Invalid totTaxAmt"),
        ("/totAmt", json!(1160.02), "Invalid totAmt"),
        ("/totItemCnt", json!(2), "totItemCnt"),
    ];
    for (pointer, value, text) in cases {
        sim.expect_refusal(&sale(1), &[(pointer, value)], text)
            .await;
    }
    let cent = [
        ("/itemList/0/taxblAmt", json!(1000.01)),
        ("/itemList/0/taxAmt", json!(159.99)),
    ];
    assert_eq!(
        sim.sell(&with_changes(sale(1), &cent)).await.code(),
        "000",
        "a cent is forgiven"
    );
}

#[tokio::test]
async fn wrong_rates_are_refused_even_where_unused() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.expect_refusal(
        &sale(1),
        &[("/taxRtE", json!(0))],
        "Rule taxRtE failed: Tax rate mismatch. Expected: 8.00, Found: 0",
    )
    .await;
    sim.expect_refusal(&sale(1), &[("/taxRtB", json!(18))], "Rule taxRtB failed")
        .await;
    let config = Config {
        rate_e: 0.into(),
        ..Config::local(Dialect::Gateway)
    };

    let sim = Sim::start_with(config).await;
    sim.expect_refusal(
        &sale(1),
        &[],
        "Rule taxRtE failed: Tax rate mismatch. Expected: 0.00, Found: 8",
    )
    .await;
}

#[tokio::test]
async fn wrong_types_lengths_codes_and_dates_are_refused() {
    let sim = Sim::start(Dialect::Gateway).await;
    let long = |length: usize| json!("x".repeat(length));
    let cases: [(&str, Value, &str); 25] = [
        (
            "/itemList/0/pkg",
            json!(2),
            "Invalid pkg for ItemList 1. Expected: 1, Found: 2",
        ),
        (
            "/itemList/0/pkg",
            json!(0),
            "Invalid pkg for ItemList 1. Expected: 1, Found: 0",
        ),
        ("/itemList/0/itemSeq", json!(2), "itemSeq"),
        (
            "/itemList/0/itemCd",
            json!("KE2NTU0000001"),
            "Incorrect QtyUnitCd Prefix",
        ),
        ("/itemList/0/pkgUnitCd", json!("U"), "pkgUnitCd"),
        ("/itemList/0/qtyUnitCd", json!("XX"), "qtyUnitCd"),
        ("/itemList/0/taxTyCd", json!("F"), "taxTyCd"),
        ("/itemList/0/itemNm", long(201), "longer than 200"),
        ("/itemList/0/qty", json!("2"), "plain number"),
        ("/itemList/0/qty", json!(-2), "negative"),
        ("/trdInvcNo", long(51), "longer than 50"),
        ("/remark", long(401), "longer than 400"),
        ("/modrId", long(21), "longer than 20"),
        ("/receipt/custMblNo", long(21), "longer than 20"),
        ("/receipt/trdeNm", long(21), "longer than 20"),
        ("/totAmt", json!("1160"), "plain number"),
        ("/rcptTyCd", json!("X"), "rcptTyCd"),
        ("/pmtTyCd", json!("08"), "pmtTyCd"),
        ("/salesSttsCd", json!("01"), "salesSttsCd"),
        ("/salesTyCd", json!("Z"), "salesTyCd"),
        ("/custTin", json!("12345678901"), "not a PIN"),
        ("/cfmDt", json!("20990101000000"), "future"),
        ("/salesDt", json!("2026-03-05"), "longer than 8"),
        (
            "/receipt/rcptPbctDt",
            json!("20261399000000"),
            "yyyyMMddHHmmss",
        ),
        ("/orgInvcNo", json!(3), "must be 0 for a sale"),
    ];
    for (pointer, value, text) in cases {
        sim.expect_refusal(&sale(1), &[(pointer, value)], text)
            .await;
    }
    assert_eq!(sim.stats().await["refusals"]["fields"], 25);
}

#[tokio::test]
async fn legacy_refuses_with_910_and_names_the_field() {
    let sim = Sim::start(Dialect::Legacy).await;
    let answer = sim
        .sell(&with_changes(sale(1), &[("/modrId", Value::Null)]))
        .await;
    let expected = &json_fixture!("06_error_responses")["legacy_parameter_error"];
    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), "910");
    assert_eq!(answer.text(), expected["body"]["resultMsg"]);
    let log = &sim.stats().await["protocol_error_log"][0];
    assert_eq!(log["mistake"], "fields");
    assert_eq!(log["device"], "P000000001A/00");
}

#[tokio::test]
async fn body_that_is_no_json_object_is_refused() {
    let sim = Sim::start(Dialect::Legacy).await;
    for (body, code) in [("", "911"), ("[]", "910"), ("{", "910")] {
        let request = sim.call(sim.sale_path(), &json!({})).body(body);
        let answer = send(request).await;
        assert_eq!(answer.code(), code, "{body:?}");
    }
}

#[tokio::test]
async fn strict_discounts_are_those_of_a_whole_percent() {
    let sim = Sim::start_with(Config {
        strict_discounts: true,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    // 1.54 % of 1,160 shillings, compared with 2 %.
    let fraction = [
        ("/itemList/0/dcRt", json!(1.54)),
        ("/itemList/0/dcAmt", json!(17.86)),
    ];
    let text = "Invalid dcAmt for item 1. Expected: 23.20, But Found: 17.86";
    sim.expect_refusal(&sale(1), &fraction, text).await;

    let whole = [
        ("/itemList/0/dcRt", json!(10)),
        ("/itemList/0/dcAmt", json!(116)),
        ("/itemList/0/totAmt", json!(1044)),
        ("/itemList/0/taxblAmt", json!(900)),
        ("/itemList/0/taxAmt", json!(144)),
        ("/taxblAmtB", json!(900)),
        ("/taxAmtB", json!(144)),
        ("/totTaxblAmt", json!(900)),
        ("/totTaxAmt", json!(144)),
        ("/totAmt", json!(1044)),
    ];
    assert_eq!(sim.sell(&with_changes(sale(1), &whole)).await.code(), "000");
}

#[tokio::test]
async fn sale_has_at_most_999_lines() {
    let sim = Sim::start(Dialect::Gateway).await;
    for (count, code) in [(1000, ""), (999, "000")] {
        let mut sale = sale(1);
        let line = sale["itemList"][0].clone();
        let lines = (1..=count).map(|number| {
            let amounts = [
                ("/itemSeq", json!(number)),
                ("/qty", json!(1)),
                ("/splyAmt", json!(580)),
                ("/taxblAmt", json!(500)),
                ("/taxAmt", json!(80)),
                ("/totAmt", json!(580)),
            ];
            with_changes(line.clone(), &amounts)
        });
        sale["itemList"] = lines.collect();
        for (name, each) in [
            ("totItemCnt", 1),
            ("taxblAmtB", 500),
            ("taxAmtB", 80),
            ("totTaxblAmt", 500),
            ("totTaxAmt", 80),
            ("totAmt", 580),
        ] {
            sale[name] = json!(each * count);
        }
        let answer = sim.sell(&sale).await;
        assert_eq!(answer.code(), code, "{count} lines: {:?}", answer.text());
    }
}
