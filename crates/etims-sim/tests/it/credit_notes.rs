//! Credit notes, which must fit their original sale.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{Sim, json_fixture, sale, with_changes};

#[tokio::test]
async fn credit_note_is_accepted_in_every_dialect() {
    for dialect in [Dialect::Legacy, Dialect::Gateway, Dialect::Vscu] {
        let sim = Sim::start(dialect).await;
        assert_eq!(
            sim.sell(&json_fixture!("02_sales_request_mpesa_1160"))
                .await
                .code(),
            "000"
        );
        let answer = sim.sell(&json_fixture!("08_credit_note_request")).await;
        assert_eq!(answer.code(), "000", "{answer:?}");
        let accepted = sim.accepted_sales().await;
        assert_eq!(accepted[1]["rcptTyCd"], "R");
        assert_eq!(accepted[1]["orgInvcNo"], 1);
        assert_eq!(accepted[1]["totAmt"], "580");
        let stats = sim.stats().await;
        assert_eq!(stats["sales_accepted"], 2);
        assert_eq!(stats["credit_notes_accepted"], 1);
        assert_eq!(stats["protocol_errors"], 0);
    }
}

#[tokio::test]
async fn credit_note_must_fit_its_original_sale() {
    let sim = Sim::start(Dialect::Gateway).await;
    let note = json_fixture!("08_credit_note_request");
    let first = with_changes(note.clone(), &[("/invcNo", json!(1))]);
    let unknown = "orgInvcNo does not exist. Please update the field and try again";
    sim.expect_refusal(&first, &[], unknown).await;

    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let cases = [
        ("/rfdDt", Value::Null, "Missing RfdDt Date"),
        ("/rfdRsnCd", Value::Null, "Invalid RfdRsnCd"),
        ("/rfdRsnCd", json!("07"), "Invalid RfdRsnCd"),
        ("/custTin", json!("A000000001Z"), "not the buyer"),
        ("/salesDt", json!("20260301"), "before the original"),
    ];
    for (pointer, value, text) in cases {
        sim.expect_refusal(&note, &[(pointer, value)], text).await;
    }
    assert_eq!(sim.sell(&note).await.code(), "000");
}

#[tokio::test]
async fn credit_notes_may_not_exceed_the_original_sale() {
    let sim = Sim::start(Dialect::Gateway).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let half = json_fixture!("08_credit_note_request");
    assert_eq!(sim.sell(&half).await.code(), "000");
    let second = [("/invcNo", json!(3)), ("/remark", json!("second half"))];
    let second = with_changes(half.clone(), &second);
    assert_eq!(sim.sell(&second).await.code(), "000");

    let third = [("/invcNo", json!(4)), ("/remark", json!("third half"))];
    sim.expect_refusal(&half, &third, "exceed the original sale")
        .await;
    let of_a_note = [("/invcNo", json!(4)), ("/orgInvcNo", json!(2))];
    sim.expect_refusal(&half, &of_a_note, "orgInvcNo does not exist")
        .await;
}

#[tokio::test]
async fn resent_credit_note_is_a_duplicate_not_an_excess() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.sell(&sale(1)).await;
    let whole = with_changes(
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

/// The gateway with one of its stricter rules, and a sale of 1,160 shillings.
async fn strict(rule: impl FnOnce(&mut Config)) -> Sim {
    let mut config = Config::local(Dialect::Gateway);
    rule(&mut config);
    Sim::start_with(config).await
}

#[tokio::test]
async fn strict_names_need_the_name_of_the_sale() {
    let sim = strict(|config| config.strict_credit_names = true).await;
    let note = json_fixture!("08_credit_note_request");
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let null = "Expected a value but found null";
    sim.expect_refusal(&note, &[("/custNm", json!("N/A"))], null)
        .await;

    let named = with_changes(sale(2), &[("/custNm", json!("N/A"))]);
    assert_eq!(sim.sell(&named).await.code(), "000");
    let of_named = with_changes(note, &[("/invcNo", json!(3)), ("/orgInvcNo", json!(2))]);
    sim.expect_refusal(&of_named, &[("/custNm", Value::Null)], null)
        .await;
    let other = "is not the name of the original sale";
    sim.expect_refusal(&of_named, &[("/custNm", json!("n/a"))], other)
        .await;
    let same = with_changes(of_named, &[("/custNm", json!("N/A"))]);
    assert_eq!(sim.sell(&same).await.code(), "000");
}

#[tokio::test]
async fn strict_count_allows_two_and_the_second_completes() {
    let sim = strict(|config| config.strict_credit_count = true).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let half = json_fixture!("08_credit_note_request");
    assert_eq!(sim.sell(&half).await.code(), "000");
    let rest = with_changes(
        half,
        &[("/invcNo", json!(3)), ("/remark", json!("the rest"))],
    );
    assert_eq!(sim.sell(&rest).await.code(), "000");
}

#[tokio::test]
async fn strict_age_ends_after_six_months() {
    let sim = strict(|config| config.strict_credit_age = true).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    let note = json_fixture!("08_credit_note_request");
    let late = [("/salesDt", json!("20260910"))];
    sim.expect_refusal(&note, &late, "within six months").await;
    assert_eq!(sim.sell(&note).await.code(), "000");
}

#[tokio::test]
async fn strict_lines_credit_no_item_more_often_than_sold() {
    let sim = strict(|config| config.strict_credit_lines = true).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    // Three pieces for the money of one, where two were sold.
    let note = json_fixture!("08_credit_note_request");
    let three = [
        ("/itemList/0/qty", json!(3)),
        ("/itemList/0/prc", json!(193.33)),
    ];
    let text = "exceed the quantity of KE2NTNO0000001";
    sim.expect_refusal(&note, &three, text).await;
    assert_eq!(sim.sell(&note).await.code(), "000");
    let again = [("/invcNo", json!(3)), ("/remark", json!("again"))];
    let two = [
        again[0].clone(),
        again[1].clone(),
        ("/itemList/0/qty", json!(2)),
        ("/itemList/0/prc", json!(290)),
    ];
    sim.expect_refusal(&note, &two, text).await;
    assert_eq!(sim.sell(&with_changes(note, &again)).await.code(), "000");
}
