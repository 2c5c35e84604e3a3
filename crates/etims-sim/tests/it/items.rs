//! Items: what the gateway refuses of them, and how they are listed.

use etims_sim::{Config, Dialect, ItemNumbers};
use serde_json::{Value, json};

use crate::bodies::{GOODS, composition, item, level, movement};
use crate::fixture::{KEY, PIN, Sim, with_changes};

/// An item with the unit and package of its own fields.
fn coded(code: &str, package: &str, unit: &str) -> Value {
    let changes = [("/pkgUnitCd", json!(package)), ("/qtyUnitCd", json!(unit))];
    with_changes(item(code), &changes)
}

#[tokio::test]
async fn wrong_items_are_refused_in_the_gateways_words() {
    let sim = Sim::start(Dialect::Gateway).await;
    let cases = [
        (
            coded("KE2NTU0000001", "NT", "U"),
            "Incorrect QtyUnitCd Prefix",
        ),
        (
            coded("KE2NTLTR0000001", "NT", "LTR"),
            "Incorrect QtyUnitCd Prefix",
        ),
        (
            coded("KE2NTKG0000001", "NT", "NO"),
            "The ItemCd isn't made up of correct QtyUnitCd",
        ),
        (
            coded("KE2CTNO0000001", "NT", "NO"),
            "Incorrect Packaging Unit Prefix",
        ),
        (
            coded("KE2CTNNO0000001", "CTN", "NO"),
            "Incorrect Packaging Unit Prefix",
        ),
        (
            coded("KE2BXNO0000001", "BX", "NO"),
            "The Package unit code can ony be among the following list: [AM, ",
        ),
        (
            coded("KE2NTXU0000001", "NT", "XU"),
            "Invalid Quantity Unit Code",
        ),
        (
            item("KE2NTNO0000002"),
            "Invalid itemCd Sequence. Expected sequence ending with: ********1",
        ),
        (
            with_changes(item(GOODS), &[("/itemClsCd", json!("5059690800"))]),
            "Ensure you use a valid item classification code",
        ),
        (
            with_changes(
                item(GOODS),
                &[("/modrId", Value::Null), ("/modrNm", Value::Null)],
            ),
            "Request parameter error[<modrId> : may not be empty][<modrNm> : may not be empty]",
        ),
        (
            with_changes(item(GOODS), &[("/dftPrc", Value::Null)]),
            "dftPrc cannot be Null",
        ),
    ];
    for (body, text) in cases {
        sim.refuse("/saveItem", &body, &[], text).await;
    }
    // Refusals move no number.
    sim.keep("/saveItem", &item(GOODS)).await;
}

#[tokio::test]
async fn code_list_has_a_package_that_no_item_may_have() {
    let sim = Sim::start(Dialect::Gateway).await;
    let lists = sim.list("/selectCodeList", "clsList").await;
    let packages = lists.iter().find(|list| list["cdCls"] == "17").unwrap();
    let packages = packages["dtlList"].as_array().unwrap();
    assert!(packages.iter().any(|package| package["cd"] == "BX"));
}

#[tokio::test]
async fn item_numbers_run_over_the_pin_or_the_prefix() {
    let per_pin = Sim::start(Dialect::Gateway).await;
    per_pin.keep("/saveItem", &item("KE3NTNO0000001")).await;
    per_pin.keep("/saveItem", &item("KE2NTNO0000002")).await;
    let again = item("KE2NTNO0000001");
    per_pin.refuse("/saveItem", &again, &[], "********3").await;

    let per_prefix = Sim::start_with(Config {
        item_numbers_per: ItemNumbers::Prefix,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    per_prefix.keep("/saveItem", &item("KE3NTNO0000001")).await;
    per_prefix.keep("/saveItem", &item("KE2NTNO0000001")).await;
    let third = item("KE3NTNO0000003");
    per_prefix
        .refuse("/saveItem", &third, &[], "********2")
        .await;
}

#[tokio::test]
async fn product_list_has_items_as_they_were_saved() {
    let sim = Sim::start(Dialect::Gateway).await;
    let saved = with_changes(item(GOODS), &[("/dftPrc", json!(116.5))]);
    sim.keep("/saveItem", &saved).await;
    let listed = &sim.list("/itemInfo", "itemList").await[0];
    for (name, value) in [
        ("itemNm", "Regulator"),
        ("regBhfId", "00"),
        ("rraModYn", "N"),
    ] {
        assert_eq!(listed[name], value);
    }
    assert_eq!(listed["dftPrc"], json!(116.5));
    let records = sim.get("/_sim/records").await;
    assert_eq!(records["taxpayers"][0]["items"], json!([saved]));
    let later = json!({"lastReqDt": "20991231000000"});
    let answer = sim.post("/itemInfo", &later).await;
    assert!(answer.text().contains("lastReqDt"), "{answer:?}");
}

#[tokio::test]
async fn legacy_checks_no_code_and_takes_it_again() {
    let sim = Sim::start(Dialect::Legacy).await;
    let own = "KE2NTU00000000000042";
    let body = coded(own, "NT", "U");
    let body = with_changes(body, &[("/itemClsCd", json!("5059690800"))]);
    sim.keep("/saveItem", &body).await;
    let renamed = with_changes(body, &[("/itemNm", json!("Gas regulator"))]);
    sim.keep("/saveItem", &renamed).await;
    let listed = sim.list("/selectItemList", "itemList").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["itemNm"], "Gas regulator");
}

#[tokio::test]
async fn composition_needs_goods_and_stock_of_the_part() {
    let sim = Sim::start(Dialect::Gateway).await;
    let (part, service) = ("KE1NTNO0000002", "KE3NTNO0000003");
    for code in [GOODS, part, service] {
        sim.keep("/saveItem", &item(code)).await;
    }
    let path = "/saveItemComposition";
    let right = composition(GOODS, part, 3);
    sim.refuse(path, &right, &[], "Insufficient Stock").await;
    sim.keep("/insertStockIO", &movement(1, "02", part, 2))
        .await;
    sim.refuse(path, &right, &[], "You dont have sufficient stock")
        .await;
    sim.keep("/insertStockIO", &movement(2, "02", part, 1))
        .await;

    let of_service = [("/itemCd", json!(service))];
    let text = "You cannot create an service using an item";
    sim.refuse(path, &right, &of_service, text).await;
    let unknown = [("/cpstItemCd", json!("KE1NTNO0000009"))];
    sim.refuse(path, &right, &unknown, "does not exist in your inventory")
        .await;
    sim.keep(path, &right).await;
    // The part stays in stock.
    sim.keep("/saveStockMaster", &level(part, 3)).await;
}

#[tokio::test]
async fn item_code_is_taken_again_without_the_switch() {
    let sim = Sim::start_with(Config {
        strict_item_updates: false,
        ..Config::local(Dialect::Gateway)
    })
    .await;
    sim.keep("/saveItem", &item(GOODS)).await;
    let retired = with_changes(item(GOODS), &[("/useYn", json!("N"))]);
    sim.keep("/saveItem", &retired).await;
    assert_eq!(sim.list("/itemInfo", "itemList").await[0]["useYn"], "N");
    // An update takes no number.
    sim.keep("/saveItem", &item("KE2NTNO0000002")).await;
}

#[tokio::test]
async fn fresh_pin_may_hold_seeded_items() {
    let sim = Sim::without_device(Config::local(Dialect::Legacy)).await;
    let mut device = json!({
        "tin": PIN,
        "bhfId": "00",
        "dvcSrlNo": "RISITI/00",
        "cmcKey": KEY,
        "seeded_items": 12,
    });
    assert_eq!(sim.post_control("/_sim/devices", &device).await.status, 201);
    assert_eq!(sim.list("/selectItemList", "itemList").await.len(), 12);
    sim.delete("/_sim/state").await;
    let listed = sim.list("/selectItemList", "itemList").await;
    assert_eq!(listed[11]["itemCd"], "KE2NTNO00000012");

    for (count, status) in [(12, 200), (13, 409)] {
        device["seeded_items"] = json!(count);
        let answer = sim.post_control("/_sim/devices", &device).await;
        assert_eq!(answer.status, status, "{count} items");
    }
    device["seeded_items"] = json!(1001);
    assert_eq!(sim.post_control("/_sim/devices", &device).await.status, 400);
}

#[tokio::test]
async fn numbers_go_on_after_seeded_items() {
    let sim = Sim::without_device(Config::local(Dialect::Gateway)).await;
    let device = json!({
        "tin": PIN,
        "bhfId": "00",
        "dvcSrlNo": "RISITI/00",
        "cmcKey": KEY,
        "consumer_key": "app",
        "consumer_secret": "secret",
        "app_id": "app-id",
        "seeded_items": 12,
    });
    assert_eq!(sim.post_control("/_sim/devices", &device).await.status, 201);
    let sim = sim.with_access_token().await;
    sim.refuse("/saveItem", &item(GOODS), &[], "********3")
        .await;
    sim.keep("/saveItem", &item("KE2NTNO0000013")).await;
}
