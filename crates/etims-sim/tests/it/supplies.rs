//! What comes from suppliers: imported items and purchases, which must be as KRA's lists have them.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::bodies::{GOODS, import_update, item, purchase};
use crate::fixture::{Sim, sale, with_changes};

/// A gateway where KRA has seeded its lists, with one registered item.
async fn seeded() -> Sim {
    let sim = Sim::start_with(Config::local(Dialect::Gateway)).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim
}

#[tokio::test]
async fn imported_item_is_updated_as_it_is_listed() {
    let sim = seeded().await;
    let listed = sim.list("/importedItemInfo", "itemList").await[0].clone();
    assert_eq!(listed["dclDe"], "01022023");
    let right = import_update(&listed, GOODS);
    let cases = [
        ("/taskCd", json!("1"), "taskCd '1' not found."),
        ("/dclDe", json!("20230201"), "dclDe"),
        ("/itemSeq", json!(9), "itemSeq"),
        ("/hsCd", json!("0101"), "hsCd"),
        (
            "/itemCd",
            json!("KE2NTNO0000009"),
            "does not exist in your inventory",
        ),
        ("/imptItemSttsCd", json!("5"), "imptItemSttsCd"),
    ];
    for (pointer, value, text) in cases {
        sim.refuse("/updateImportItem", &right, &[(pointer, value)], text)
            .await;
    }
    for (pointer, value, code) in [
        ("/itemClsCd", Value::Null, "910"),
        ("/remark", Value::Null, "999"),
        ("/remark", json!(""), "999"),
    ] {
        let wrong = with_changes(right.clone(), &[(pointer, value)]);
        let answer = sim.post("/updateImportItem", &wrong).await;
        assert_eq!(answer.code(), code, "{pointer}: {answer:?}");
    }

    let waiting = [("/imptItemSttsCd", json!("2")), ("/remark", Value::Null)];
    sim.keep("/updateImportItem", &with_changes(right.clone(), &waiting))
        .await;
    sim.keep("/updateImportItem", &right).await;
    let kept = sim.records().await["import_updates"].clone();
    assert_eq!(kept.as_array().map(Vec::len), Some(1));
    assert_eq!(kept[0]["imptItemSttsCd"], "3");
    // The list goes on showing it as waiting.
    let after = sim.list("/importedItemInfo", "itemList").await;
    assert_eq!(after[0]["imptItemsttsCd"], "2");
}

#[tokio::test]
async fn task_codes_change_when_the_state_is_cleared() {
    let sim = seeded().await;
    let old = sim.list("/importedItemInfo", "itemList").await[0].clone();
    sim.delete("/_sim/state").await;
    sim.keep("/saveItem", &item(GOODS)).await;
    let update = import_update(&old, GOODS);
    sim.refuse("/updateImportItem", &update, &[], "not found.")
        .await;
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
    sim.refuse("/updateImportItem", &update, &[], "not found.")
        .await;
    let new = sim.list("/importedItemInfo", "itemList").await[0].clone();
    sim.keep("/updateImportItem", &import_update(&new, GOODS))
        .await;
}

#[tokio::test]
async fn purchases_list_has_five_sales_of_a_supplier() {
    let sim = seeded().await;
    let listed = sim.list("/getPurchaseTransactionInfo", "saleList").await;
    assert_eq!(listed.len(), 5);
    let first = &listed[0];
    assert_eq!(first["remark"], "Completed by Automated User");
    assert_eq!(first["cfmDt"], "2026-03-05 14:15:00");
    assert_eq!(first["totAmt"], 1160);
    assert_eq!(
        (&first["taxRtB"], &first["taxRtE"]),
        (&json!(16), &json!(0))
    );
    // The trap of the seeds: this amount is net.
    assert_eq!(first["itemList"][0]["splyAmt"], 1000);
    let types: Vec<&Value> = listed
        .iter()
        .flat_map(|sale| sale["itemList"].as_array().unwrap())
        .map(|line| &line["taxTyCd"])
        .collect();
    assert_eq!(types, ["B", "A", "C", "D", "B", "C"]);
}

#[tokio::test]
async fn purchase_must_match_the_list() {
    let sim = seeded().await;
    let listed = sim.list("/getPurchaseTransactionInfo", "saleList").await;
    let right = purchase(1, &listed[0], GOODS);
    let cases = [
        ("/spplrTin", json!("A000000001Z"), "Missing purchase Record"),
        ("/spplrBhfId", json!("07"), "Missing purchase Record"),
        (
            "/spplrInvcNo",
            json!(9),
            "Supplier invoice number 9 does not exist",
        ),
        (
            "/spplrNm",
            json!("umoja wholesalers limited"),
            "spplrNm umoja wholesalers limited does not match the expected value",
        ),
        ("/rcptTyCd", json!("S"), "rcptTyCd"),
        (
            "/itemList/0/itemCd",
            json!("KE2NTNO0000009"),
            "does not exist in your inventory",
        ),
        (
            "/itemList/0/splyAmt",
            json!(1000),
            "Invalid splyAmnt on item: 1. Expected: 1160.00, But Found: 1000.00",
        ),
        (
            "/itemList/0/taxblAmt",
            json!(1160),
            "Invalid taxblAmt on item: 1",
        ),
        ("/taxblAmtB", json!(999), "Invalid taxblAmtB"),
        ("/taxRtB", json!(0), "Rule taxRtB failed"),
        (
            "/invcNo",
            json!(2),
            "Invalid invcNo sequence, expected: 1 but found: 2",
        ),
        ("/orgInvcNo", json!(1), "orgInvcNo"),
    ];
    let path = "/sendPurchaseTransactionInfo";
    for (pointer, value, text) in cases {
        sim.refuse(path, &right, &[(pointer, value)], text).await;
    }
    // Its own counter, apart from that of sales.
    sim.keep(path, &right).await;
    let again = "Invalid invcNo sequence, expected: 2 but found: 1";
    sim.refuse(path, &right, &[], again).await;
    sim.keep(path, &purchase(2, &listed[0], GOODS)).await;
    let kept = sim.records().await["purchases"].clone();
    assert_eq!(kept.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn purchase_of_another_tax_type_is_refused() {
    let sim = seeded().await;
    let listed = sim.list("/getPurchaseTransactionInfo", "saleList").await;
    let of_type_c = with_changes(item("KE2NTNO0000002"), &[("/taxTyCd", json!("C"))]);
    sim.keep("/saveItem", &of_type_c).await;
    let bought = purchase(1, &listed[0], "KE2NTNO0000002");
    let text = "Error occurred while validating item tax type";
    sim.refuse("/sendPurchaseTransactionInfo", &bought, &[], text)
        .await;
}

#[tokio::test]
async fn nothing_can_be_bought_before_the_list_is_seeded() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    let early = json!({
        "spplrTin": "P052000111Z",
        "spplrBhfId": "00",
        "spplrNm": "Umoja Wholesalers Limited",
        "spplrInvcNo": 101,
    });
    let bought = purchase(1, &early, GOODS);
    let path = "/sendPurchaseTransactionInfo";
    sim.refuse(path, &bought, &[], "Missing purchase Record")
        .await;
}
