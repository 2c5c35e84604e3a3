//! A filed sale as look-ups show it: the request as it is stored, in KRA's field order, with the
//! receipt. Fields that the captures of an integrator (S2B) lack are left out: `salesTyCd`,
//! `trdInvcNo`, `tin` and `bhfId`.

use serde_json::json;
use serde_json::value::RawValue;

use crate::clock;
use crate::device::FiledSale;
use crate::json_object::{self, JsonObject, select, set};

const HEADER: [&str; 41] = [
    "invcNo",
    "orgInvcNo",
    "custTin",
    "custNm",
    "rcptTyCd",
    "pmtTyCd",
    "salesSttsCd",
    "cfmDt",
    "salesDt",
    "stockRlsDt",
    "cnclReqDt",
    "cnclDt",
    "rfdDt",
    "rfdRsnCd",
    "totItemCnt",
    "taxblAmtA",
    "taxblAmtB",
    "taxblAmtC",
    "taxblAmtD",
    "taxblAmtE",
    "taxRtA",
    "taxRtB",
    "taxRtC",
    "taxRtD",
    "taxRtE",
    "taxAmtA",
    "taxAmtB",
    "taxAmtC",
    "taxAmtD",
    "taxAmtE",
    "totTaxblAmt",
    "totTaxAmt",
    "totAmt",
    "prchrAcptcYn",
    "remark",
    "regrId",
    "regrNm",
    "modrId",
    "modrNm",
    "receipt",
    "itemList",
];
const RECEIPT: [&str; 14] = [
    "custTin",
    "custMblNo",
    "rcptPbctDt",
    "trdeNm",
    "adrs",
    "topMsg",
    "btmMsg",
    "prchrAcptcYn",
    "rptNo",
    "intrlData",
    "rcptSign",
    "curRcptNo",
    "totRcptNo",
    "sdcDateTime",
];
pub(crate) const ITEM: [&str; 21] = [
    "itemSeq",
    "itemCd",
    "itemClsCd",
    "itemNm",
    "bcd",
    "pkgUnitCd",
    "pkg",
    "qtyUnitCd",
    "qty",
    "prc",
    "splyAmt",
    "dcRt",
    "dcAmt",
    "isrccCd",
    "isrccNm",
    "isrcRt",
    "isrcAmt",
    "taxTyCd",
    "taxblAmt",
    "taxAmt",
    "totAmt",
];

/// `data` of the look-up and of the sales list.
pub(crate) fn sales_list<'a>(filed: impl Iterator<Item = &'a FiledSale>) -> Box<RawValue> {
    let sales: Vec<String> = filed.map(stored_sale).collect();
    json_object::list("salesList", &sales)
}

fn stored_sale(filed: &FiledSale) -> String {
    let mut sale: JsonObject =
        serde_json::from_slice(&filed.body).expect("an accepted sale is a JSON object");
    let receipt = stored_receipt(&sale, filed);
    let items: Vec<JsonObject> =
        serde_json::from_str(sale["itemList"].get()).expect("an accepted sale has a list of lines");
    let items: Vec<String> = items.iter().map(|item| select(&ITEM, item)).collect();
    set(
        &mut sale,
        "invcNo",
        json!(filed.sale.invoice_no).to_string(),
    );
    set(
        &mut sale,
        "orgInvcNo",
        json!(filed.sale.original_no).to_string(),
    );
    for name in ["cfmDt", "stockRlsDt", "cnclReqDt", "cnclDt", "rfdDt"] {
        space_out(&mut sale, name);
    }
    for name in ["modrId", "modrNm"] {
        sale.remove(name);
    }
    set(&mut sale, "receipt", receipt);
    set(&mut sale, "itemList", format!("[{}]", items.join(",")));
    select(&HEADER, &sale)
}

fn stored_receipt(sale: &JsonObject, filed: &FiledSale) -> String {
    let mut receipt: JsonObject =
        serde_json::from_str(sale["receipt"].get()).expect("an accepted sale has a receipt object");
    let signed = &filed.receipt;
    let at = format!("{}.0", clock::spaced(signed.at));
    let server_fields = [
        ("rcptPbctDt", json!(at)),
        ("rptNo", json!(1)),
        ("intrlData", json!(signed.internal_data)),
        ("rcptSign", json!(signed.signature)),
        ("curRcptNo", json!(signed.current.to_string())),
        ("totRcptNo", json!(signed.total.to_string())),
        ("sdcDateTime", json!(at)),
    ];
    for (name, value) in server_fields {
        set(&mut receipt, name, value.to_string());
    }
    select(&RECEIPT, &receipt)
}

/// Rewrites a time from `yyyyMMddHHmmss` to `YYYY-MM-DD HH:MM:SS`.
fn space_out(sale: &mut JsonObject, name: &str) {
    let text = sale
        .get(name)
        .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    if let Some(at) = text.and_then(|text| clock::parse_compact(&text)) {
        set(sale, name, json!(clock::spaced(at)).to_string());
    }
}
