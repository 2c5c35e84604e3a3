//! Stock with `--stock-check`: an item must exist before it is sold.

use etims_sim::{Config, Dialect};
use serde_json::{Value, json};

use crate::fixture::{Sim, sale};

const ITEM: &str = "KE2NTNO0000001";

async fn start_with_stock_check() -> Sim {
    Sim::start_with(Config {
        stock_check: true,
        ..Config::local(Dialect::Gateway)
    })
    .await
}

fn item(item_type: &str) -> Value {
    json!({
        "itemCd": ITEM,
        "itemClsCd": "5059690800",
        "itemTyCd": item_type,
        "itemNm": "Regulator",
        "pkgUnitCd": "NT",
        "qtyUnitCd": "NO",
        "taxTyCd": "B",
    })
}

#[tokio::test]
async fn goods_must_be_saved_and_stocked_before_sale() {
    let sim = start_with_stock_check().await;
    let missing = "do not exist in your stock";
    assert!(sim.sell(&sale(1)).await.text().contains(missing));
    assert_eq!(sim.post("/saveItem", &item("2")).await.code(), "000");
    assert!(sim.sell(&sale(1)).await.text().contains(missing));
    let goods_in = json!({"sarTyCd": "02", "itemList": [{"itemCd": ITEM, "qty": 10}]});
    assert_eq!(sim.post("/insert/stockIO", &goods_in).await.code(), "000");
    let level = |quantity: u32| json!({"itemCd": ITEM, "rsdQty": quantity});
    assert!(
        sim.post("/save/stockMaster", &level(9))
            .await
            .text()
            .contains("Expected: 10.00")
    );
    assert_eq!(
        sim.post("/save/stockMaster", &level(10)).await.code(),
        "000"
    );
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}

#[tokio::test]
async fn service_needs_no_stock() {
    let sim = start_with_stock_check().await;
    assert_eq!(sim.post("/saveItem", &item("3")).await.code(), "000");
    assert_eq!(sim.sell(&sale(1)).await.code(), "000");
}
