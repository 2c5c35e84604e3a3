//! Stock: movements, levels, and what a sale needs with `--stock-check`.

use etims_sim::{Config, Dialect, StockNumbers};
use serde_json::{Value, json};

use crate::bodies::{CLASS, GOODS, item, level, look_up, movement};
use crate::fixture::{PIN, Sim, sale, with_changes};

/// A gateway with one registered item.
async fn with_item(config: Config) -> Sim {
    let sim = Sim::start_with(config).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    sim
}

fn stock_check() -> Config {
    Config {
        stock_check: true,
        ..Config::local(Dialect::Gateway)
    }
}

/// A sale of the registered item.
fn sale_of_goods(number: i64) -> Value {
    with_changes(sale(number), &[("/itemList/0/itemClsCd", json!(CLASS))])
}

#[tokio::test]
async fn goods_must_be_saved_and_stocked_before_sale() {
    let sim = Sim::start_with(stock_check()).await;
    let missing = "do not exist in your stock";
    sim.expect_refusal(&sale_of_goods(1), &[], missing).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    sim.expect_refusal(&sale_of_goods(1), &[], missing).await;
    sim.keep("/insert/stockIO", &movement(1, "02", GOODS, 10))
        .await;
    assert_eq!(sim.sell(&sale_of_goods(1)).await.code(), "000");
}

#[tokio::test]
async fn service_needs_no_stock_and_keeps_its_class_and_tax_type() {
    let sim = Sim::start_with(stock_check()).await;
    let of_type_c = [("/taxTyCd", json!("C")), ("/itemTyCd", json!("3"))];
    let service = "KE3NTNO0000001";
    sim.keep("/saveItem", &with_changes(item(service), &of_type_c))
        .await;
    let sold = with_changes(sale_of_goods(1), &[("/itemList/0/itemCd", json!(service))]);
    let text = "Error occurred while validating item tax type";
    sim.expect_refusal(&sold, &[], text).await;
    let other_class = [("/itemList/0/itemClsCd", json!("1010150200"))];
    sim.expect_refusal(&sold, &other_class, "itemClsCd").await;

    let of_type_b = with_changes(item("KE3NTNO0000002"), &[("/itemTyCd", json!("3"))]);
    sim.keep("/saveItem", &of_type_b).await;
    let right = [("/itemList/0/itemCd", json!("KE3NTNO0000002"))];
    let answer = sim.sell(&with_changes(sold, &right)).await;
    assert_eq!(answer.code(), "000", "{answer:?}");
}

#[tokio::test]
async fn wrong_movements_are_refused() {
    let sim = with_item(Config::local(Dialect::Gateway)).await;
    let right = movement(1, "02", GOODS, 10);
    let line = "/itemList/0";
    let of_line = |name: &str| format!("{line}/{name}");
    let cases = [
        (
            "/sarNo".to_owned(),
            json!(2),
            "Invalid sarNo: Expected: 1 but found: 2",
        ),
        (
            "/orgSarNo".to_owned(),
            Value::Null,
            "getOrgSarNo()\" is null",
        ),
        ("/regTyCd".to_owned(), Value::Null, "regTyCd cannot be null"),
        ("/sarTyCd".to_owned(), json!("07"), "Invalid sarTyCd"),
        (
            "/ocrnDt".to_owned(),
            json!("20991231"),
            "must not be in the future",
        ),
        (
            "/totAmt".to_owned(),
            json!(0),
            "Expected a value for totAmt",
        ),
        (
            "/totAmt".to_owned(),
            json!(1161),
            "Invalid totAmt. Expected: 1160.00",
        ),
        ("/totItemCnt".to_owned(), json!(2), "totItemCnt"),
        (
            "/modrNm".to_owned(),
            Value::Null,
            "<modrNm> : may not be empty",
        ),
        (
            of_line("pkg"),
            json!(0),
            "Expected a value for pkg on item: 1",
        ),
        (
            of_line("totAmt"),
            json!(0),
            "Expected a value for totAmt on item: 1",
        ),
        (
            of_line("taxblAmt"),
            json!(1160),
            "Invalid taxblAmt on item: 1. Expected: 1000.00",
        ),
        (
            of_line("itemCd"),
            json!("KE2NTNO0000009"),
            "does not exist in your inventory",
        ),
        (of_line("itemClsCd"), json!("1010150200"), "itemClsCd"),
    ];
    for (pointer, value, text) in cases {
        sim.refuse("/insertStockIO", &right, &[(&pointer, value)], text)
            .await;
    }
    sim.keep("/insertStockIO", &right).await;
    assert_eq!(sim.records().await["stock"], json!({GOODS: "10"}));
}

#[tokio::test]
async fn movement_numbers_move_on_success_only() {
    let sim = with_item(Config::local(Dialect::Gateway)).await;
    let path = "/insertStockIO";
    sim.keep(path, &movement(1, "02", GOODS, 10)).await;
    let again = "Invalid sarNo: Expected: 2 but found: 1";
    sim.refuse(path, &movement(1, "02", GOODS, 10), &[], again)
        .await;
    let too_much = movement(2, "11", GOODS, 11);
    sim.refuse(path, &too_much, &[], "Insufficient Stock").await;
    sim.keep(path, &movement(2, "11", GOODS, 4)).await;
    assert_eq!(sim.records().await["stock"], json!({GOODS: "6"}));

    // The same movement again is how a client finds out what became of it.
    let refusals = sim.stats().await["refusals"].clone();
    assert_eq!(refusals["resend"], 1);
}

#[tokio::test]
async fn movement_numbers_run_over_the_pin_or_the_branch() {
    for (per, second) in [(StockNumbers::Pin, 2), (StockNumbers::Branch, 1)] {
        let sim = with_item(Config {
            stock_numbers_per: per,
            ..Config::local(Dialect::Gateway)
        })
        .await;
        sim.register("01").await;
        sim.keep("/insertStockIO", &movement(1, "02", GOODS, 1))
            .await;
        let mut elsewhere = movement(second, "02", GOODS, 1);
        elsewhere["bhfId"] = json!("01");
        sim.keep("/insertStockIO", &elsewhere).await;
    }
}

#[tokio::test]
async fn level_must_be_the_running_sum() {
    let sim = with_item(Config::local(Dialect::Gateway)).await;
    let path = "/saveStockMaster";
    sim.refuse(path, &level(GOODS, 0), &[], "Stock IO is empty")
        .await;
    sim.keep("/insertStockIO", &movement(1, "02", GOODS, 10))
        .await;

    // Both were seen: the refusal under its own status, and under 200.
    let mut statuses = [0, 0];
    for wrong in 11..=30 {
        let answer = sim.post(path, &level(GOODS, wrong)).await;
        let text = format!("rsdQty mismatch. Expected: 10 but found: {wrong}");
        assert_eq!(answer.text(), text);
        assert_eq!(answer.body["responseHeader"]["responseCode"], 400);
        assert_eq!(answer.body["responseBody"], Value::Null);
        statuses[usize::from(answer.status == 200)] += 1;
    }
    assert!(statuses.iter().all(|count| *count > 0), "{statuses:?}");
    sim.keep(path, &level(GOODS, 10)).await;
    assert_eq!(sim.records().await["reported_stock"], json!({GOODS: "10"}));
}

#[tokio::test]
async fn transfers_show_at_the_branch_they_go_to() {
    let sim = with_item(Config::local(Dialect::Gateway)).await;
    sim.register("01").await;
    sim.keep("/insertStockIO", &movement(1, "02", GOODS, 10))
        .await;
    let transfer = [("/custTin", json!(PIN)), ("/custBhfId", json!("01"))];
    let transfer = with_changes(movement(2, "13", GOODS, 3), &transfer);
    sim.keep("/insertStockIO", &transfer).await;

    let here = sim.post("/selectStockMoveLists", &look_up()).await;
    assert_eq!(here.code(), "001");
    let there = with_changes(look_up(), &[("/bhfId", json!("01"))]);
    let there = sim.post("/selectStockMoveLists", &there).await;
    let listed = &there.data()["stockList"][0];
    assert_eq!(listed["custBhfId"], "00");
    assert_eq!(listed["itemList"][0]["qty"], 3);
    assert!(listed.get("sarTyCd").is_none());
}

#[tokio::test]
async fn gateway_wants_the_branch_in_the_body_of_some_lists() {
    let sim = Sim::start(Dialect::Gateway).await;
    let bare = json!({"lastReqDt": "20200101000000"});
    for path in ["/selectStockMoveLists", "/getPurchaseTransactionInfo"] {
        let answer = sim.post(path, &bare).await;
        assert_eq!(answer.text(), "tin cannot be Null", "{path}");
    }
    assert_eq!(sim.post("/itemInfo", &bare).await.code(), "001");
}
