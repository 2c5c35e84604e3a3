//! Credit notes, which must fit their original sale.

use etims_sim::Dialect;
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
