//! Every rule of the sales request, broken one at a time.

use crate::support::{Sim, changed, fixture, sale};
use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

/// The document broken at one place, refused on the gateway with this text.
async fn refused(sim: &Sim, document: &Value, changes: &[(&str, Value)], text: &str) {
    let answer = sim.sell(&changed(document.clone(), changes)).await;
    assert_eq!(answer.status, 400, "{changes:?}: {answer:?}");
    assert_eq!(answer.body["responseBody"], Value::Null);
    assert!(
        answer.text().contains(text),
        "{changes:?}: {:?} lacks {text:?}",
        answer.text()
    );
}

#[tokio::test]
async fn every_required_field_is_required() {
    let sim = Sim::of(Dialect::Gateway).await;
    let mut header = vec![
        "trdInvcNo",
        "invcNo",
        "orgInvcNo",
        "rcptTyCd",
        "salesSttsCd",
        "cfmDt",
        "salesDt",
    ];
    header.extend([
        "totItemCnt",
        "totTaxblAmt",
        "totTaxAmt",
        "totAmt",
        "prchrAcptcYn",
        "regrId",
        "regrNm",
    ]);
    header.extend(["modrId", "modrNm", "receipt", "itemList"]);
    let per_type = ["taxblAmt", "taxRt", "taxAmt"].iter().flat_map(|field| {
        ["A", "B", "C", "D", "E"]
            .iter()
            .map(move |name| format!("{field}{name}"))
    });
    for field in header.into_iter().map(str::to_owned).chain(per_type) {
        refused(
            &sim,
            &sale(1),
            &[(&format!("/{field}"), Value::Null)],
            &format!("{field} cannot be Null"),
        )
        .await;
    }
    for field in ["rcptPbctDt", "prchrAcptcYn"] {
        refused(
            &sim,
            &sale(1),
            &[(&format!("/receipt/{field}"), Value::Null)],
            field,
        )
        .await;
    }
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn every_field_of_a_line_is_required() {
    let sim = Sim::of(Dialect::Gateway).await;
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
        refused(
            &sim,
            &sale(1),
            &[(&format!("/itemList/0/{field}"), Value::Null)],
            &text,
        )
        .await;
    }
    refused(
        &sim,
        &sale(1),
        &[("/itemList", json!([]))],
        "itemList cannot be Null",
    )
    .await;
}

#[tokio::test]
async fn sums_and_splits_must_be_right() {
    let sim = Sim::of(Dialect::Gateway).await;
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
        refused(&sim, &sale(1), &[(pointer, value)], text).await;
    }
    let cent = [
        ("/itemList/0/taxblAmt", json!(1000.01)),
        ("/itemList/0/taxAmt", json!(159.99)),
    ];
    assert_eq!(
        sim.sell(&changed(sale(1), &cent)).await.code(),
        "000",
        "a cent is forgiven"
    );
}

#[tokio::test]
async fn rates_are_checked_even_where_unused() {
    let sim = Sim::of(Dialect::Gateway).await;
    refused(
        &sim,
        &sale(1),
        &[("/taxRtE", json!(0))],
        "Rule taxRtE failed: Tax rate mismatch. Expected: 8.00, Found: 0",
    )
    .await;
    refused(
        &sim,
        &sale(1),
        &[("/taxRtB", json!(18))],
        "Rule taxRtB failed",
    )
    .await;
    let config = Config {
        rate_e: 0.into(),
        ..Config::local(Dialect::Gateway)
    };
    let sim = Sim::with(config).await;
    refused(
        &sim,
        &sale(1),
        &[],
        "Rule taxRtE failed: Tax rate mismatch. Expected: 0.00, Found: 8",
    )
    .await;
}

#[tokio::test]
async fn types_lengths_codes_and_dates_are_checked() {
    let sim = Sim::of(Dialect::Gateway).await;
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
        refused(&sim, &sale(1), &[(pointer, value)], text).await;
    }
    assert_eq!(sim.stats().await["refusals"]["fields"], 25);
}

#[tokio::test]
async fn legacy_says_910_and_names_the_field() {
    let sim = Sim::of(Dialect::Legacy).await;
    let answer = sim
        .sell(&changed(sale(1), &[("/modrId", Value::Null)]))
        .await;
    let expected = &fixture!("06_error_responses")["legacy_parameter_error"];
    assert_eq!((answer.status, answer.code()), (200, "910"));
    assert_eq!(answer.text(), expected["body"]["resultMsg"]);
    let log = &sim.stats().await["protocol_error_log"][0];
    assert_eq!(
        (&log["mistake"], &log["device"]),
        (&json!("fields"), &json!("P000000001A/00"))
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_objects() {
    let sim = Sim::of(Dialect::Legacy).await;
    for (body, code) in [("", "911"), ("[]", "910"), ("{", "910")] {
        let request = sim.call(sim.sale_path(), &json!({})).body(body);
        let answer = crate::support::Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.code(), code, "{body:?}");
    }
}

#[tokio::test]
async fn credit_notes_have_rules_of_their_own() {
    let sim = Sim::of(Dialect::Gateway).await;
    let note = fixture!("08_credit_note_request");
    let first = changed(note.clone(), &[("/invcNo", json!(1))]);
    refused(
        &sim,
        &first,
        &[],
        "orgInvcNo does not exist. Please update the field and try again",
    )
    .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    refused(
        &sim,
        &note,
        &[("/rfdDt", Value::Null)],
        "Missing RfdDt Date",
    )
    .await;
    refused(
        &sim,
        &note,
        &[("/rfdRsnCd", Value::Null)],
        "Invalid RfdRsnCd",
    )
    .await;
    refused(
        &sim,
        &note,
        &[("/rfdRsnCd", json!("07"))],
        "Invalid RfdRsnCd",
    )
    .await;
    refused(
        &sim,
        &note,
        &[("/custTin", json!("A000000001Z"))],
        "not the buyer",
    )
    .await;
    refused(
        &sim,
        &note,
        &[("/salesDt", json!("20260301"))],
        "before the original",
    )
    .await;
    assert_eq!(sim.sell(&note).await.code(), "000");
    let again = changed(
        note.clone(),
        &[("/invcNo", json!(3)), ("/remark", json!("second half"))],
    );
    assert_eq!(sim.sell(&again).await.code(), "000", "the other half");
    let third = [("/invcNo", json!(4)), ("/remark", json!("third half"))];
    refused(&sim, &note, &third, "exceed the original sale").await;
    refused(
        &sim,
        &note,
        &[("/invcNo", json!(4)), ("/orgInvcNo", json!(2))],
        "orgInvcNo does not exist",
    )
    .await;
}

#[tokio::test]
async fn a_resent_credit_note_is_a_duplicate_and_not_an_excess() {
    let sim = Sim::of(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    let whole = changed(
        sale(2),
        &[
            ("/rcptTyCd", json!("R")),
            ("/orgInvcNo", json!(1)),
            ("/rfdRsnCd", json!("06")),
            ("/rfdDt", json!("20260306101000")),
        ],
    );
    assert_eq!(sim.sell(&whole).await.code(), "000");
    assert_eq!(sim.sell(&whole).await.code(), "994");
}
