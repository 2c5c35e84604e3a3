//! The 23 test cases of KRA's test page, each in every spelling of its path.

use etims_sim::Dialect;
use serde_json::{Value, json};

use crate::bodies::{
    GOODS, composition, customer, import_update, insurance, item, level, look_up, movement,
    purchase, user,
};
use crate::fixture::{PIN, Sim, sale, with_changes};

const PART: &str = "KE1NTNO0000002";

/// The spellings of each call's path in one dialect, in the order of KRA's rows.
type Paths = [&'static [&'static str]; 23];

const LEGACY: Paths = [
    &["/selectInitOsdcInfo"],
    &["/selectCodeList"],
    &["/selectItemClsList"],
    &["/selectBhfList"],
    &["/selectNoticeList"],
    &["/saveBhfCustomer"],
    &["/saveBhfUser"],
    &["/saveBhfInsurance"],
    &["/selectItemList"],
    &["/saveItem"],
    &["/saveItemComposition"],
    &["/selectImportItemList"],
    &["/updateImportItem"],
    &["/saveTrnsSalesOsdc"],
    &["/selectTrnsPurchaseSalesList"],
    &["/insertTrnsPurchase"],
    &["/saveStockMaster"],
    &["/selectStockMoveList"],
    &["/insertStockIO"],
    &["/selectInvoiceDetails"],
    &["/selectTrnsSalesList"],
    &["/selectCustomerList"],
    &["/selectTaxPayerInfo"],
];

const GATEWAY: Paths = [
    &["/initialize", "/selectInitOsdcInfo"],
    &["/selectCodeList"],
    &["/selectItemClass", "/selectItemClsList"],
    &["/branchList", "/selectBhfList"],
    &["/selectNotices", "/selectNoticeList"],
    &["/branchSendCustomerInfo", "/saveBhfCustomer"],
    &["/branchUserAccount", "/saveBhfUser"],
    &["/branchInsuranceInfo", "/saveBhfInsurance"],
    &["/itemInfo", "/selectItemList"],
    &["/saveItem"],
    &["/saveItemComposition"],
    &["/importedItemInfo", "/selectImportItemList"],
    &["/updateImportItem"],
    &["/sendSalesTransaction", "/saveTrnsSalesOsdc"],
    &[
        "/getPurchaseTransactionInfo",
        "/selectTrnsPurchaseSalesList",
    ],
    &["/sendPurchaseTransactionInfo", "/insertTrnsPurchase"],
    &["/save/stockMaster", "/saveStockMaster"],
    &["/selectStockMoveLists", "/selectStockMoveList"],
    &["/insert/stockIO", "/insertStockIO"],
    &["/selectInvoiceDetail", "/selectInvoiceDetails"],
    &["/selectSalesTransactions", "/selectTrnsSalesList"],
    &["/selectCustomerList"],
    &["/selectTaxpayerInfo", "/selectTaxPayerInfo"],
];

/// The unit has no look-up of invoices, no list of sales and no call for the taxpayer.
const VSCU: Paths = [
    &["/initializer/selectInitInfo"],
    &["/code/selectCodes"],
    &["/itemClass/selectItemsClass"],
    &["/branches/selectBranches"],
    &["/notices/selectNotices"],
    &["/branches/saveBrancheCustomers"],
    &["/branches/saveBrancheUsers", "/branches/saveBrancheUser"],
    &["/branches/saveBrancheInsurances"],
    &["/items/selectItems"],
    &["/items/saveItems"],
    &["/items/saveItemComposition"],
    &["/imports/selectImportItems"],
    &["/imports/updateImportItems"],
    &["/trnsSales/saveSales"],
    &["/trnsPurchase/selectTrnsPurchaseSales"],
    &["/trnsPurchase/savePurchases"],
    &["/stockMaster/saveStockMaster"],
    &["/stock/selectStockItems"],
    &["/stock/saveStockItems"],
    &[],
    &[],
    &["/customers/selectCustomer"],
    &[],
];

/// Runs the cases in an order that passed at KRA. `spelling` chooses among the names of a path.
struct Walk {
    sim: Sim,
    paths: Paths,
    spelling: usize,
}

impl Walk {
    async fn call(&self, row: usize, body: &Value, codes: &[&str]) -> Value {
        let spellings = self.paths[row - 1];
        let Some(path) = spellings.get(self.spelling).or(spellings.first()) else {
            return Value::Null;
        };
        let mut body = body.clone();
        // The unit knows its caller by the body alone.
        body["tin"] = json!(PIN);
        body["bhfId"] = json!("00");
        let answer = self.sim.post(path, &body).await;
        assert!(codes.contains(&answer.code()), "{path}: {answer:?}");
        answer.data().clone()
    }

    async fn run(&self) {
        let serial = json!({"dvcSrlNo": "RISITI/00"});
        self.call(1, &serial, &["902"]).await;
        for row in 2..=5 {
            self.call(row, &look_up(), &["000"]).await;
        }
        self.call(6, &customer(), &["000"]).await;
        self.call(7, &user(), &["000"]).await;
        self.call(8, &insurance(), &["000"]).await;
        self.call(12, &look_up(), &["001"]).await;
        self.call(9, &look_up(), &["001"]).await;
        self.call(10, &item(GOODS), &["000"]).await;
        self.call(10, &item(PART), &["000"]).await;
        let listed = self.call(9, &look_up(), &["000"]).await;
        assert_eq!(listed["itemList"].as_array().map(Vec::len), Some(2));
        self.call(19, &movement(1, "02", PART, 5), &["000"]).await;
        self.call(17, &level(PART, 5), &["000"]).await;
        self.call(18, &look_up(), &["001"]).await;
        self.call(11, &composition(GOODS, PART, 2), &["000"]).await;
        self.call(14, &sale(1), &["000"]).await;
        let by_number = json!({"invcNo": 1});
        self.call(20, &by_number, &["000"]).await;
        self.call(21, &look_up(), &["000"]).await;
        self.call(22, &look_up(), &["000"]).await;
        self.call(23, &look_up(), &["000"]).await;
        let imports = self.call(12, &look_up(), &["000"]).await;
        let update = import_update(&imports["itemList"][0], GOODS);
        self.call(13, &update, &["000"]).await;
        let purchases = self.call(15, &look_up(), &["000"]).await;
        let bought = purchase(1, &purchases["saleList"][0], GOODS);
        self.call(16, &bought, &["000"]).await;
    }
}

#[tokio::test]
async fn every_case_passes_under_every_name_of_its_path() {
    let cases = [
        (Dialect::Legacy, LEGACY, 0),
        (Dialect::Gateway, GATEWAY, 0),
        (Dialect::Gateway, GATEWAY, 1),
        (Dialect::Vscu, VSCU, 0),
        (Dialect::Vscu, VSCU, 1),
    ];
    for (dialect, paths, spelling) in cases {
        let sim = Sim::start(dialect).await;
        let walk = Walk {
            sim,
            paths,
            spelling,
        };
        walk.run().await;
        let page = page(&walk.sim).await;
        // The device was initialised before, and the unit has no path for three of the rows.
        let missing = paths
            .iter()
            .filter(|spellings| spellings.is_empty())
            .count();
        assert_eq!(page["passed"], json!(22 - missing), "{dialect:?}: {page}");
    }
}

async fn page(sim: &Sim) -> Value {
    let pages = sim
        .get(&format!("/_sim/certification?device={PIN}/00"))
        .await;
    pages["devices"][0].clone()
}

#[tokio::test]
async fn test_page_shows_the_latest_call_of_each_row() {
    let sim = Sim::start(Dialect::Gateway).await;
    let page_before = page(&sim).await;
    let rows = page_before["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 23);
    assert!(rows.iter().all(|row| row["state"] == "waiting"));
    assert_eq!(rows[12]["name"], "Update imported items");

    // Nothing found passes, but not for imported items.
    sim.post("/itemInfo", &look_up()).await;
    sim.post("/importedItemInfo", &look_up()).await;
    sim.keep("/saveItem", &item(GOODS)).await;
    let shown = page(&sim).await;
    assert_eq!(shown["passed"], 2);
    assert_eq!(shown["rows"][8]["state"], "passed");
    assert_eq!(shown["rows"][8]["resultCd"], "001");
    assert_eq!(shown["rows"][11]["state"], "failed");
    assert_eq!(shown["rows"][9]["state"], "passed");

    // A later call of the same row hides an earlier success.
    let unknown_class = with_changes(
        item("KE2NTNO0000002"),
        &[("/itemClsCd", json!("5059690800"))],
    );
    sim.post("/saveItem", &unknown_class).await;
    let row = page(&sim).await["rows"][9].clone();
    assert_eq!(row["state"], "failed");
    assert_eq!(row["resultCd"], Value::Null);
    let text = row["text"].as_str().unwrap();
    assert!(
        text.starts_with("Ensure you use a valid item class"),
        "{text}"
    );
}

#[tokio::test]
async fn conversion_of_imports_is_taken_and_changes_nothing() {
    let sim = Sim::start(Dialect::Gateway).await;
    sim.keep("/importedItemConvertedInfo", &json!({})).await;
    assert_eq!(page(&sim).await["rows"][12]["state"], "waiting");
    assert_eq!(sim.records().await["import_updates"], json!([]));
}
