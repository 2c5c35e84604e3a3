//! Branches and what they save: customers, users, insurances; and what KRA tells everybody.

use etims_sim::Dialect;
use serde_json::{Value, json};

use crate::bodies::{customer, insurance, look_up, user};
use crate::fixture::{PIN, Sim, with_changes};

#[tokio::test]
async fn customer_needs_a_pin_and_is_listed() {
    let sim = Sim::start(Dialect::Gateway).await;
    let path = "/branchSendCustomerInfo";
    for empty in [Value::Null, json!("")] {
        let text = "custTin cannot be empty or Null";
        sim.refuse(path, &customer(), &[("/custTin", empty)], text)
            .await;
    }
    let wrong = [("/custTin", json!("12345"))];
    sim.refuse(path, &customer(), &wrong, "custTin").await;
    let long = [("/custNo", json!("C000000001"))];
    sim.refuse(path, &customer(), &long, "custNo").await;

    sim.keep(path, &customer()).await;
    let renamed = with_changes(customer(), &[("/custNm", json!("Wanjiru K."))]);
    sim.keep(path, &renamed).await;
    let listed = sim.list("/selectCustomerList", "custList").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["custNm"], "Wanjiru K.");
    assert_eq!(listed[0]["regrId"], "till-1");
    assert_eq!(listed[0]["modrId"], Value::Null);
}

#[tokio::test]
async fn users_and_insurances_are_kept_without_the_password() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.keep("/saveBhfUser", &user()).await;
    sim.keep("/saveBhfInsurance", &insurance()).await;
    let kept = sim.records().await;
    assert_eq!(kept["users"][0]["userId"], "cashier-1");
    assert!(kept["users"][0].get("pwd").is_none());
    assert_eq!(kept["insurances"][0]["isrcRt"], 10);

    let nameless = with_changes(user(), &[("/regrNm", Value::Null)]);
    let answer = sim.post("/saveBhfUser", &nameless).await;
    assert_eq!(answer.code(), "910");
    assert_eq!(
        answer.text(),
        "Request parameter error[<regrNm> : may not be empty]"
    );
}

#[tokio::test]
async fn branch_list_has_every_branch_of_the_pin() {
    let sim = Sim::start(Dialect::Legacy).await;
    sim.register("02").await;
    let listed = sim.list("/selectBhfList", "bhfList").await;
    let branches: Vec<_> = listed
        .iter()
        .map(|row| (&row["bhfId"], &row["hqYn"]))
        .collect();
    assert_eq!(
        branches,
        [(&json!("00"), &json!("Y")), (&json!("02"), &json!("N"))]
    );
}

#[tokio::test]
async fn public_lists_have_news_since_the_given_time_only() {
    let sim = Sim::start(Dialect::Gateway).await;
    let classes = sim.list("/selectItemClass", "itemClsList").await;
    assert_eq!(classes.len(), 26);
    let zero_rated = classes
        .iter()
        .find(|class| class["itemClsCd"] == "9901200000");
    assert_eq!(zero_rated.unwrap()["taxTyCd"], "C");
    assert_eq!(sim.list("/selectNotices", "noticeList").await.len(), 2);
    let recent = with_changes(look_up(), &[("/lastReqDt", json!("20261101000000"))]);
    for path in ["/selectItemClass", "/selectNotices", "/branchList"] {
        assert_eq!(sim.post(path, &recent).await.code(), "001", "{path}");
    }
}

#[tokio::test]
async fn taxpayer_is_told_by_body_or_query() {
    let sim = Sim::start(Dialect::Gateway).await;
    let bare = json!({"lastReqDt": "20200101000000"});
    let answer = sim.post("/selectTaxpayerInfo", &bare).await;
    assert_eq!(answer.text(), "tin cannot be Null");
    let in_query = format!("/selectTaxPayerInfo?tin={PIN}&bhfId=00");
    for (path, body) in [
        ("/selectTaxpayerInfo", look_up()),
        (in_query.as_str(), bare),
    ] {
        let answer = sim.post(path, &body).await;
        assert_eq!(answer.data()["info"]["vatTyCd"], "1", "{answer:?}");
    }
}

#[tokio::test]
async fn pin_of_a_saved_customer_is_known() {
    for (dialect, save, check) in [
        (Dialect::Legacy, "/saveBhfCustomer", "/selectCustomer"),
        (
            Dialect::Vscu,
            "/branches/saveBrancheCustomers",
            "/customers/selectCustomer",
        ),
    ] {
        let sim = Sim::start(dialect).await;
        let of_branch = |mut body: Value| {
            body["tin"] = json!(PIN);
            body["bhfId"] = json!("00");
            body
        };
        sim.keep(save, &of_branch(customer())).await;
        let pin = |pin: &str| of_branch(json!({"custmTin": pin}));
        let found = sim.post(check, &pin("A012345678Y")).await;
        assert_eq!(found.data()["custList"][0]["taxprNm"], "Wanjiru Kamau");
        assert_eq!(found.data()["custList"][0]["taxprSttsCd"], "A");
        let unknown = sim.post(check, &pin("A000000001Z")).await;
        assert_eq!(unknown.code(), "001");
    }
}
